"""Is the hub's certificate checked? Run with its authority, and without."""

from azure.iot.hub import IoTHubRegistryManager

from bench import Device, check, devices, end, refused, settings, versions

ID = "cell-0001"


def service(text):
    return refused(lambda: IoTHubRegistryManager.from_connection_string(text).get_device(ID).device_id)


def device(text):
    client = Device(text, connection_retry=False).client

    def connect():
        client.connect()
        return str(client.connected).lower()

    return refused(connect)


def other_name(text):
    return text.replace(settings["host"], settings["otherName"])


check("versions")(versions)
check("service")(lambda: service(settings["owner"]))
check("device")(lambda: device(devices[ID]))
check("service, another name")(lambda: service(other_name(settings["owner"])))
check("device, another name")(lambda: device(other_name(devices[ID])))
end()
