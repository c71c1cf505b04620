"""What the scenarios share: the bench's settings, one line of JSON a check, and
waits that have a limit. A scenario says what the SDK saw and judges nothing."""

import base64
import hashlib
import hmac
import importlib.metadata
import json
import os
import queue
import ssl
import sys
import threading
import time
import traceback
import urllib.parse

from azure.iot.device import IoTHubDeviceClient
from azure.iot.device.exceptions import ClientError
from msrest.exceptions import HttpOperationError

PATIENCE = 20

settings = json.loads(os.environ["CONFORMANCE_BENCH"])
devices = settings["devices"]
_ca = os.environ.get("CONFORMANCE_CA")
ca = open(_ca).read() if _ca else None
_out = threading.Lock()


def _print(line):
    with _out:
        print(json.dumps(line, default=str), flush=True)


def check(name):
    """Runs the function under it now, and reports what it gives."""

    def run(body):
        try:
            saw = body()
        except BaseException:
            saw = {"unexpected": traceback.format_exc()}
        _print({"check": name, "saw": saw})
        return body

    return run


def ask(what, **more):
    """Asks the bench for something that no SDK can do."""
    _print({"ask": what, **more})
    return json.loads(sys.stdin.readline())


def versions():
    names = ["azure-iot-hub", "azure-iot-device", "six"]
    return {name: importlib.metadata.version(name) for name in names}


def until(what, wanted):
    """Waits until `wanted` gives something true; that."""
    end = time.monotonic() + PATIENCE
    while True:
        value = wanted()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("no " + what)
        time.sleep(0.02)


def soon(act):
    """Does something that may fail for a moment: after a refused connection the
    SDK still hears of its end, and takes it for the next one's."""

    def attempt():
        try:
            act()
            return True
        except ClientError:
            return False

    until("success of what failed", attempt)


def refused(act):
    """The error of a call that should fail: its class, and what the hub said."""
    try:
        value = act()
    except HttpOperationError as error:
        status = error.response.status_code
        return {"error": type(error).__name__, "status": status, "code": code(error.response.text)}
    except Exception as error:
        cause = first_cause(error)
        saw = {"error": type(error).__name__, "cause": type(cause).__name__}
        if isinstance(cause, ssl.SSLCertVerificationError):
            saw["verify"] = cause.verify_code
        return saw
    return {"done": value}


def first_cause(error):
    """What an error rests on; each library keeps it elsewhere."""
    kept = [error.__cause__, getattr(error, "inner_exception", None),
            getattr(error, "reason", None), *error.args[:1]]
    for cause in kept:
        if isinstance(cause, Exception):
            return first_cause(cause)
    return error


def code(body):
    """The hub's code in a refusal: a name, or a number for methods."""
    message = json.loads(body)["Message"]
    if message.startswith("ErrorCode:"):
        return message[len("ErrorCode:"):].split(";")[0]
    return json.loads(message)["errorCode"]


class Device:
    """A device client and what came for it."""

    def __init__(self, text, **options):
        self._own(IoTHubDeviceClient.create_from_connection_string(
            text, server_verification_cert=ca, **options))

    @classmethod
    def with_token(cls, token, **options):
        self = cls.__new__(cls)
        self._own(IoTHubDeviceClient.create_from_sastoken(
            token, server_verification_cert=ca, **options))
        return self

    def _own(self, client):
        self.client = client
        self.patches = queue.Queue()
        self.lost = threading.Event()
        client.on_connection_state_change = self._state

    def _state(self):
        if not self.client.connected:
            self.lost.set()

    def listen(self, answer):
        """Takes methods, answered by `answer(request)`: status and payload, or
        None for no answer; and changes of desired properties."""
        from azure.iot.device import MethodResponse

        def method(request):
            given = answer(request)
            if given is not None:
                response = MethodResponse.create_from_method_request(request, *given)
                self.client.send_method_response(response)

        self.client.on_twin_desired_properties_patch_received = self.patches.put
        self.client.on_method_request_received = method

    def patch(self):
        return self.patches.get(timeout=PATIENCE)

    def is_lost(self):
        return self.lost.wait(PATIENCE)

    def close(self):
        self.client.shutdown()


def parts(text):
    return dict(part.split("=", 1) for part in text.split(";"))


def token(text, seconds):
    """A token of so many seconds, signed with the key of a connection string."""
    of = parts(text)
    resource = urllib.parse.quote(f"{of['HostName']}/devices/{of['DeviceId']}", safe="")
    ends = int(time.time() + seconds)
    key = base64.b64decode(of["SharedAccessKey"])
    digest = hmac.new(key, f"{resource}\n{ends}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={ends}"


def with_key(text, key):
    """A connection string with another key."""
    head, _ = text.split("SharedAccessKey=")
    return head + "SharedAccessKey=" + key


WRONG_KEY = base64.b64encode(bytes(range(32))).decode()


def end():
    """Ends at once: SDK threads may linger."""
    sys.stdout.flush()
    os._exit(0)
