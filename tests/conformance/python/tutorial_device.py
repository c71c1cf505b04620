"""The device of the 2018 firmware tutorial, written anew with today's SDK.

It waits for the method `firmwareUpdate` and pretends to download and apply what
it was given, a step at a time:

    IOTHUB_DEVICE_CONNECTION_STRING=… python tutorial_device.py [--step SECONDS]

`IOTHUB_CA_FILE` names an authority to trust besides the system's.
"""

import argparse
import os
import signal
import threading
from datetime import datetime

from azure.iot.device import IoTHubDeviceClient, MethodResponse

# Phase by phase: the status, and the property that says when.
PHASES = [
    ("downloading", "downloadComplete"),
    ("applying", "startedApplyingImage"),
    ("completed", "lastFirmwareUpdate"),
]


def report(client, status, stamp):
    client.patch_twin_reported_properties({"firmwareStatus": status, stamp: str(datetime.now())})
    print(status, flush=True)


def update(client, uri, step):
    print(f"updating to {uri}", flush=True)
    for status, stamp in PHASES:
        # Downloading and applying are only pretended, so only time passes.
        threading.Event().wait(step)
        report(client, status, stamp)


def serve(client, step):
    def method(request):
        known = request.name == "firmwareUpdate"
        status, payload = (200, {"Response": "Firmware update started"}) if known else (
            404, {"Response": f"no method {request.name}"})
        client.send_method_response(
            MethodResponse.create_from_method_request(request, status, payload))
        if known:
            uri = (request.payload or {}).get("fwPackageUri")
            threading.Thread(target=update, args=(client, uri, step), daemon=True).start()

    client.on_method_request_received = method


def main():
    parser = argparse.ArgumentParser(description="A device that pretends to update its firmware.")
    parser.add_argument("--step", type=float, default=15, help="seconds before each phase")
    step = parser.parse_args().step
    ca_file = os.environ.get("IOTHUB_CA_FILE")
    trusted = open(ca_file).read() if ca_file else None
    client = IoTHubDeviceClient.create_from_connection_string(
        os.environ["IOTHUB_DEVICE_CONNECTION_STRING"], server_verification_cert=trusted)
    client.connect()
    serve(client, step)
    report(client, "standBy", "logTime")
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    print("waiting for firmwareUpdate", flush=True)
    ended.wait()
    client.shutdown()


if __name__ == "__main__":
    main()
