"""Links that end: cut, taken over, with the token; and one that does not."""

import time

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

from bench import Device, ask, check, devices, end, refused, settings, soon, token, until, versions

hub = IoTHubRegistryManager.from_connection_string(settings["owner"])


def echo(request):
    return 200, {"got": request.payload}


def invoke(device_id, payload):
    result = hub.invoke_device_method(device_id, CloudToDeviceMethod(
        method_name="echo", payload=payload,
        response_timeout_in_seconds=10, connect_timeout_in_seconds=10))
    return result.payload


def works(device, device_id, mark):
    """Method, desired change and report, on whatever link there is."""
    hub.update_twin(device_id, Twin(properties=TwinProperties(desired={"mark": mark})))
    saw = {"desired": device.patch()["mark"], "method": invoke(device_id, mark)["got"]}
    device.client.patch_twin_reported_properties({"mark": mark})
    return {**saw, "reported": hub.get_twin(device_id).properties.reported["mark"],
            "read": device.client.get_twin()["reported"]["mark"]}


check("versions")(versions)


@check("a cut connection")
def _():
    device = Device(devices["cell-0001"])
    device.client.connect()
    device.listen(echo)
    saw = [works(device, "cell-0001", "before")]
    for number in (1, 2):
        device.lost.clear()
        ask("cut")
        saw.append({"lost": device.is_lost()})
        until("reconnection", lambda: device.client.connected)
        saw.append(works(device, "cell-0001", f"after {number}"))
    device.close()
    return saw


@check("a hub that is away")
def _():
    device = Device(devices["cell-0005"], connection_retry_interval=1)
    device.client.connect()
    device.listen(echo)
    saw = [works(device, "cell-0005", "before")]
    before = ask("connections")
    ask("away", **{"is": True})
    ask("cut")
    saw.append({"lost": device.is_lost()})
    until("second attempt", lambda: ask("connections") >= before + 2)
    ask("away", **{"is": False})
    until("reconnection", lambda: device.client.connected)
    saw.append(works(device, "cell-0005", "after"))
    device.close()
    return saw


# It pings each four seconds, gives up a hub that does not answer, and is given
# up by a hub that hears nothing for six. Time goes by beside the rest.
quiet = Device(devices["cell-0006"], keep_alive=4, connection_retry=False)
quiet.client.connect()
quiet_since = time.monotonic()


@check("taken over")
def _():
    first = Device(devices["cell-0002"], connection_retry=False, auto_connect=False)
    first.client.connect()
    first.listen(echo)
    second = Device(devices["cell-0002"])
    second.client.connect()
    second.listen(echo)
    saw = {"first lost": first.is_lost(), "second": works(second, "cell-0002", "mine"),
           "second lost": second.lost.is_set(), "first heard": first.patches.qsize()}
    second.close()
    return saw


@check("a token that ends")
def _():
    text = devices["cell-0003"]
    device = Device.with_token(token(text, 7), connection_retry=False)
    device.client.connect()
    device.listen(echo)
    saw = {"before": works(device, "cell-0003", "before"), "lost": device.is_lost(),
           "ended": refused(device.client.connect)}
    soon(lambda: device.client.update_sastoken(token(text, 600)))
    soon(device.client.connect)
    saw["fresh"] = works(device, "cell-0003", "after")
    device.close()
    return saw


@check("a token that is renewed")
def _():
    # The SDK renews two minutes before the end, so here after six seconds.
    before = ask("connections")
    device = Device(devices["cell-0004"], sastoken_ttl=126)
    device.client.connect()
    device.listen(echo)
    saw = [works(device, "cell-0004", "before")]
    until("renewal", lambda: ask("connections") >= before + 2)
    until("reconnection", lambda: device.client.connected)
    saw.append(works(device, "cell-0004", "after"))
    device.close()
    return saw


@check("a quiet device")
def _():
    lost = quiet.lost.wait(max(0, quiet_since + 14 - time.monotonic()))
    saw = {"lost": lost, "connected": hub.get_device("cell-0006").connection_state}
    quiet.close()
    return saw


end()
