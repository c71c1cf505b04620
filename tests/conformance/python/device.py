"""A device and the service that works with it: twin, methods, telemetry."""

import threading

from azure.iot.device import Message
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

from bench import (
    Device, WRONG_KEY, ask, check, devices, end, refused, settings, soon, until, versions,
    with_key)

hub = IoTHubRegistryManager.from_connection_string(settings["owner"])
ID = "cell-0001"
device = Device(devices[ID], connection_retry=False)
asked = []


def answer(request):
    asked.append({"name": request.name, "payload": request.payload})
    return {
        "status": lambda: (request.payload["status"], {"told": True}),
        "nothing": lambda: (200, None),
        "silent": lambda: None,
    }.get(request.name, lambda: (200, {"got": request.payload}))()


def invoke(name, payload=None, seconds=10, connect=0, to=ID):
    return hub.invoke_device_method(to, CloudToDeviceMethod(
        method_name=name, payload=payload,
        response_timeout_in_seconds=seconds, connect_timeout_in_seconds=connect))


def answered(result):
    return {"status": result.status, "payload": result.payload}


def desired(properties, etag=None, replace=False, tags=None):
    change = hub.replace_twin if replace else hub.update_twin
    return change(ID, Twin(tags=tags, properties=TwinProperties(desired=properties)), etag)


def state():
    return hub.get_device(ID).connection_state


def plain(section):
    return {name: value for name, value in section.items() if not name.startswith("$")}


check("versions")(versions)


@check("offline: a method")
def _():
    return refused(lambda: invoke("reboot"))


@check("offline: a method that waits for nobody")
def _():
    return refused(lambda: invoke("reboot", connect=1))


@check("connect")
def _():
    device.client.connect()
    device.listen(answer)
    return {"service": state()}


# A method that nobody answers takes its five seconds beside the rest.
silence = {}
silent = threading.Thread(target=lambda: silence.update(refused(lambda: invoke("silent", {}, 5))))
silent.start()


@check("twin: the device reads")
def _():
    twin = device.client.get_twin()
    return {"desired": plain(twin["desired"]),
            "versions": [twin[section]["$version"] for section in ("desired", "reported")]}


@check("desired: a patch with the etag")
def _():
    before = hub.get_twin(ID)
    after = desired({"interval": 5, "mode": {"night": True}}, before.etag, tags={"site": "lab"})
    patch = device.patch()
    return {"patch": plain(patch), "version": patch["$version"] - before.properties.desired["$version"],
            "tags": after.tags, "etag changed": after.etag != before.etag}


@check("desired: a patch with a stale etag")
def _():
    stale = hub.get_twin(ID).etag
    desired({"interval": 6})
    device.patch()
    error = refused(lambda: desired({"interval": 7}, stale))
    desired({"mode": None})
    # The next change that the device hears of is not the refused one.
    return {"refused": error, "the next patch": plain(device.patch()),
            "desired": plain(hub.get_twin(ID).properties.desired),
            "device": plain(device.client.get_twin()["desired"])}


@check("desired: replaced with the etag")
def _():
    after = desired({"channel": "beta"}, hub.get_twin(ID).etag, replace=True, tags={"floor": 2})
    return {"patch": plain(device.patch()), "desired": plain(after.properties.desired),
            "tags": after.tags, "device": plain(device.client.get_twin()["desired"])}


@check("desired: replaced with a stale etag")
def _():
    stale = hub.get_twin(ID).etag
    desired({"channel": "stable"})
    device.patch()
    return {"refused": refused(lambda: desired({}, stale, replace=True)),
            "desired": plain(hub.get_twin(ID).properties.desired)}


@check("reported")
def _():
    before = hub.get_twin(ID).properties.reported["$version"]
    device.client.patch_twin_reported_properties({"firmwareStatus": "standBy", "old": 1})
    device.client.patch_twin_reported_properties({"old": None, "nested": {"a": [1, "ä"]}})
    reported = hub.get_twin(ID).properties.reported
    return {"reported": plain(reported), "version": reported["$version"] - before,
            "stamped": "$lastUpdated" in reported["$metadata"]["firmwareStatus"]}


@check("method")
def _():
    asked.clear()
    result = answered(invoke("firmwareUpdate", {"fwPackageUri": "https://example.test/fw", "n": [1, None]}))
    return [asked[-1]["name"], result]


@check("method: the device's own status")
def _():
    return [answered(invoke("status", {"status": status})) for status in (202, 400, 404, 500)]


@check("method: payloads")
def _():
    texts = ["", 0, False, "text", [], {}]
    return [invoke("echo", value).payload["got"] for value in texts]


@check("method: nothing said")
def _():
    asked.clear()
    result = answered(invoke("nothing"))
    return {"asked": asked[-1]["payload"], "answered": result}


@check("method: unknown device")
def _():
    return refused(lambda: invoke("reboot", to="nobody"))


@check("method: no answer")
def _():
    silent.join(15)
    counts = ask("methods", device=ID)
    return {"refused": silence, "delivered, not answered": counts["delivered"] - counts["answered"]}


@check("telemetry")
def _():
    before = hub.get_device(ID).last_activity_time
    message = Message('{"temperature": 21}', content_encoding="utf-8", content_type="application/json")
    message.custom_properties["alert"] = "yes & no/ü"
    device.client.send_message(message)
    return hub.get_device(ID).last_activity_time > before


@check("method: waits for the device")
def _():
    device.client.disconnect()
    until("disconnection", lambda: state() == "Disconnected")
    result = {}
    call = threading.Thread(target=lambda: result.update(answered(invoke("echo", 1, connect=10))))
    call.start()
    device.client.connect()
    call.join(20)
    return result


@check("disabled")
def _():
    device.lost.clear()
    identity = hub.get_device(ID)
    keys = identity.authentication.symmetric_key
    put = lambda status: hub.update_device_with_sas(
        ID, None, keys.primary_key, keys.secondary_key, status)
    put("disabled")
    saw = {"lost": device.is_lost(), "method": refused(lambda: invoke("echo", 1)),
           "connect": refused(device.client.connect)}
    put("enabled")
    soon(device.client.connect)
    return {**saw, "enabled again": state()}


device.close()


@check("the second key")
def _():
    second = hub.get_device(ID).authentication.symmetric_key.secondary_key
    other = Device(with_key(devices[ID], second), connection_retry=False)
    until("disconnection", lambda: state() == "Disconnected")
    other.client.connect()
    saw = state()
    other.close()
    return saw


@check("an id with signs")
def _():
    signs = settings["signs"]
    made = hub.create_device_with_sas(signs, "", "", "enabled")
    key = made.authentication.symmetric_key.primary_key
    other = Device(f"HostName={settings['host']};DeviceId={signs};SharedAccessKey={key}",
                   connection_retry=False)
    other.client.connect()
    other.listen(answer)
    hub.update_twin(signs, Twin(properties=TwinProperties(desired={"mark": 1})))
    saw = {"made": made.device_id, "patch": plain(other.patch()),
           "method": answered(invoke("echo", 1, to=signs))}
    other.client.patch_twin_reported_properties({"mark": 2})
    other.client.send_message("heard")
    saw["reported"] = plain(hub.get_twin(signs).properties.reported)
    other.close()
    hub.delete_device(signs)
    return {**saw, "deleted": refused(lambda: hub.get_device(signs))}


@check("a wrong device key")
def _():
    other = Device(with_key(devices[ID], WRONG_KEY), connection_retry=False)
    return refused(other.client.connect)


@check("an unknown device")
def _():
    other = Device(devices[ID].replace(ID, "nobody"), connection_retry=False)
    return refused(other.client.connect)


end()
