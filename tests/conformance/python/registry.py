"""The identity registry and queries, with the service SDK."""

import base64

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin

from bench import WRONG_KEY, check, end, refused, settings, versions, with_key

hub = IoTHubRegistryManager.from_connection_string(settings["owner"])
PRIMARY = base64.b64encode(b"p" * 32).decode()
SECONDARY = base64.b64encode(b"s" * 32).decode()


def keys(device):
    symmetric = device.authentication.symmetric_key
    return [symmetric.primary_key, symmetric.secondary_key]


check("versions")(versions)


@check("create")
def _():
    made = hub.create_device_with_sas("made", PRIMARY, SECONDARY, "enabled", status_reason="new")
    return {
        "id": made.device_id,
        "status": made.status,
        "reason": made.status_reason,
        "keys": keys(made) == [PRIMARY, SECONDARY],
        "state": made.connection_state,
        "etag": bool(made.etag),
    }


@check("create without keys")
def _():
    made = hub.create_device_with_sas("keyless", "", "", "enabled")
    return [len(base64.b64decode(key)) >= 16 for key in keys(made)]


@check("create again")
def _():
    return refused(lambda: hub.create_device_with_sas("made", PRIMARY, SECONDARY, "enabled"))


@check("get")
def _():
    got = hub.get_device("made")
    return {"id": got.device_id, "reason": got.status_reason, "keys": keys(got) == [PRIMARY, SECONDARY]}


@check("get nobody")
def _():
    return refused(lambda: hub.get_device("nobody"))


def update(etag, reason):
    return hub.update_device_with_sas(
        "made", etag, PRIMARY, SECONDARY, "disabled", status_reason=reason)


stale = hub.get_device("made").etag


@check("update with the etag")
def _():
    new = update(stale, "first")
    return {"status": new.status, "reason": new.status_reason, "etag changed": new.etag != stale}


@check("update with a stale etag")
def _():
    return [refused(lambda: update(stale, "second")), hub.get_device("made").status_reason]


@check("update whatever it is")
def _():
    before = hub.get_device("made").etag
    new = update(None, "third")
    return {"status": new.status, "reason": new.status_reason, "etag changed": new.etag != before}


@check("update nobody")
def _():
    return refused(lambda: hub.update_device_with_sas(
        "nobody", None, PRIMARY, SECONDARY, "enabled"))


@check("list")
def _():
    ids = [device.device_id for device in hub.get_devices(1000)]
    return {"all": len(ids), "distinct": len(set(ids)), "made": "made" in ids}


@check("list of two")
def _():
    return len(hub.get_devices(2))


@check("statistics")
def _():
    numbers = hub.get_device_registry_statistics()
    return [numbers.total_device_count, numbers.enabled_device_count, numbers.disabled_device_count]


@check("delete with a stale etag")
def _():
    return [refused(lambda: hub.delete_device("made", stale)), hub.get_device("made").device_id]


@check("delete whatever it is")
def _():
    hub.delete_device("made", hub.get_device("made").etag)
    hub.delete_device("keyless")
    return [refused(lambda: hub.get_device(gone)) for gone in ("made", "keyless")]


@check("delete nobody")
def _():
    return refused(lambda: hub.delete_device("nobody"))


CELLS = sorted(settings["devices"])
for number, cell in enumerate(CELLS):
    hub.update_twin(cell, Twin(tags={"line": "a" if number % 5 else "b", "n": number}))


def pages(text, size):
    sizes, rows, going_on = [], [], None
    while len(sizes) < 100:
        page = hub.query_iot_hub(QuerySpecification(query=text), going_on, size)
        sizes.append(len(page.items))
        rows += page.items
        going_on = page.continuation_token
        if not going_on:
            return sizes, rows, page.type
    raise RuntimeError("the query does not end")


@check("query in pages")
def _():
    sizes, rows, _ = pages("SELECT * FROM devices", 10)
    return {"pages": sizes, "each once": sorted(row.device_id for row in rows) == CELLS,
            "tags": sorted(row.tags["n"] for row in rows) == list(range(25))}


@check("query in full pages")
def _():
    sizes, rows, _ = pages("SELECT * FROM devices WHERE tags.n < 20", 10)
    return {"rows": len(rows), "at most two with rows": len([n for n in sizes if n]) <= 2}


PROJECTION = "SELECT deviceId, tags.n AS n FROM devices WHERE tags.line = 'b'"


@check("query with a projection")
def _():
    # The SDK makes a twin of a row, whatever it is; what is none stands apart.
    rows = [{"deviceId": row.device_id, **row.additional_properties}
            for row in pages(PROJECTION, 3)[1]]
    return {"rows": len(rows), "fields": sorted(rows[0]), "n": sorted(row["n"] for row in rows)}


@check("query types")
def _():
    return [pages(text, 10)[2] for text in ("SELECT * FROM devices", PROJECTION)]


@check("query that is none")
def _():
    return refused(lambda: pages("SELECT FROM WHERE", 10))


@check("query without rows")
def _():
    return pages("SELECT * FROM devices WHERE tags.line = 'z'", 10)[1]


@check("a wrong key")
def _():
    wrong = IoTHubRegistryManager.from_connection_string(with_key(settings["owner"], WRONG_KEY))
    return [refused(lambda: wrong.get_device(CELLS[0])), refused(lambda: wrong.get_twin(CELLS[0]))]


@check("a policy that may only read")
def _():
    reader = IoTHubRegistryManager.from_connection_string(settings["registryRead"])
    return [reader.get_device(CELLS[0]).device_id,
            refused(lambda: reader.delete_device(CELLS[0])),
            refused(lambda: reader.get_twin(CELLS[0]))]


end()
