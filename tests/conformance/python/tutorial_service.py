"""The service program of the 2018 firmware tutorial, written anew with today's SDK.

It starts an update on one device and says how it goes, a line a status:

    IOTHUB_CONNECTION_STRING=… python tutorial_service.py DEVICE URI [--every SECONDS]

As in the tutorial, what the twin says is believed at once: on a device that was
updated before, an old `completed` ends it early.
"""

import argparse
import json
import os
import time

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

MEANINGS = {
    "standBy": "waiting for the device",
    "downloading": "the device downloads the package",
    "applying": "the package is there and is being applied",
    "completed": "the update is done",
}


def start(hub, device, uri):
    """Asks the device to update itself; what it answers."""
    return hub.invoke_device_method(device, CloudToDeviceMethod(
        method_name="firmwareUpdate", payload={"fwPackageUri": uri},
        response_timeout_in_seconds=60))


def follow(hub, device, every):
    """Prints each new status until the last; the twin's reported properties."""
    last = None
    while True:
        reported = hub.get_twin(device).properties.reported
        status = reported.get("firmwareStatus")
        if status != last:
            print(f"{status}: {MEANINGS.get(status, 'unknown status')}", flush=True)
            last = status
        if status == "completed":
            return reported
        time.sleep(every)


def main():
    parser = argparse.ArgumentParser(description="Updates the firmware of one device.")
    parser.add_argument("device")
    parser.add_argument("uri")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two readings")
    args = parser.parse_args()
    hub = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
    answer = start(hub, args.device, args.uri)
    print(f"answer: {answer.status} {json.dumps(answer.payload)}", flush=True)
    print(json.dumps(follow(hub, args.device, args.every)))


if __name__ == "__main__":
    main()
