'use strict';
// The identity registry and queries, with the service SDK.

const { Registry } = require('azure-iothub');
const { WRONG_KEY, call, check, refused, run, settings, versions, withKey } = require('./bench');

const hub = Registry.fromConnectionString(settings.owner);
const PRIMARY = Buffer.alloc(32, 'p').toString('base64');
const SECONDARY = Buffer.alloc(32, 's').toString('base64');
const CELLS = Object.keys(settings.devices).sort();

const own = {
  deviceId: 'made',
  status: 'enabled',
  statusReason: 'new',
  authentication: { symmetricKey: { primaryKey: PRIMARY, secondaryKey: SECONDARY } },
};
const keys = (device) => [
  device.authentication.symmetricKey.primaryKey, device.authentication.symmetricKey.secondaryKey,
];
const areOwn = (device) => JSON.stringify(keys(device)) === JSON.stringify([PRIMARY, SECONDARY]);

/** All rows by the SDK's own paging: on while it says that there is more. */
async function pages(text, size) {
  const query = hub.createQuery(text, size);
  const sizes = [];
  let rows = [];
  while (query.hasMoreResults) {
    if (sizes.length === 100) throw new Error('the query does not end');
    const page = await call(query, 'nextAsTwin');
    sizes.push(page.length);
    rows = rows.concat(page);
  }
  return { sizes, rows };
}

const numbers = (rows, of) => rows.map(of).sort((a, b) => a - b);

run(async () => {
  await check('versions', versions);

  await check('create', async () => {
    const made = await call(hub, 'create', own);
    return {
      id: made.deviceId, status: made.status, reason: made.statusReason, keys: areOwn(made),
      state: made.connectionState, etag: Boolean(made.etag),
    };
  });
  await check('create without keys', async () => {
    const made = await call(hub, 'create', { deviceId: 'keyless' });
    return keys(made).map((key) => Buffer.from(key, 'base64').length >= 16);
  });
  await check('create again', () => refused(() => call(hub, 'create', own)));
  await check('get', async () => {
    const got = await call(hub, 'get', 'made');
    return { id: got.deviceId, reason: got.statusReason, keys: areOwn(got) };
  });
  await check('get nobody', () => refused(() => call(hub, 'get', 'nobody')));

  // This SDK writes identities whatever their etag.
  await check('update whatever it is', async () => {
    const before = await call(hub, 'get', 'made');
    const after = await call(hub, 'update', { ...own, status: 'disabled', statusReason: 'third' });
    return { status: after.status, reason: after.statusReason, 'etag changed': before.etag !== after.etag };
  });
  await check('update nobody', () => refused(() => call(hub, 'update', { ...own, deviceId: 'nobody' })));

  await check('list', async () => {
    const ids = (await call(hub, 'list')).map((device) => device.deviceId);
    return { all: ids.length, distinct: new Set(ids).size, made: ids.includes('made') };
  });
  await check('statistics', async () => {
    const count = await call(hub, 'getRegistryStatistics');
    return [count.totalDeviceCount, count.enabledDeviceCount, count.disabledDeviceCount];
  });

  await check('delete whatever it is', async () => {
    await call(hub, 'delete', 'made');
    await call(hub, 'delete', 'keyless');
    return [await refused(() => call(hub, 'get', 'made')), await refused(() => call(hub, 'get', 'keyless'))];
  });
  await check('delete nobody', () => refused(() => call(hub, 'delete', 'nobody')));

  for (const [number, cell] of CELLS.entries()) {
    await call(hub, 'updateTwin', cell, { tags: { line: number % 5 ? 'a' : 'b', n: number } }, '*');
  }
  await check('query in pages', async () => {
    const { sizes, rows } = await pages('SELECT * FROM devices', 10);
    return {
      pages: sizes,
      'each once': JSON.stringify(rows.map((row) => row.deviceId).sort()) === JSON.stringify(CELLS),
      tags: JSON.stringify(numbers(rows, (row) => row.tags.n)) === JSON.stringify([...Array(25).keys()]),
    };
  });
  await check('query in full pages', async () => {
    const { sizes, rows } = await pages('SELECT * FROM devices WHERE tags.n < 20', 10);
    return { rows: rows.length, 'at most two with rows': sizes.filter(Boolean).length <= 2 };
  });
  await check('query with a projection', async () => {
    const query = hub.createQuery("SELECT deviceId, tags.n AS n FROM devices WHERE tags.line = 'b'", 3);
    let rows = [];
    while (query.hasMoreResults && rows.length < 100) rows = rows.concat(await call(query, 'next', query.continuationToken));
    return { rows: rows.length, fields: Object.keys(rows[0]).sort(), n: numbers(rows, (row) => row.n) };
  });
  await check('query that is none', () => refused(() => pages('SELECT FROM WHERE', 10)));
  await check('query without rows', async () => (await pages("SELECT * FROM devices WHERE tags.line = 'z'", 10)).rows);

  await check('a wrong key', async () => {
    const wrong = Registry.fromConnectionString(withKey(settings.owner, WRONG_KEY));
    return [await refused(() => call(wrong, 'get', CELLS[0])), await refused(() => call(wrong, 'getTwin', CELLS[0]))];
  });
  await check('a policy that may only read', async () => {
    const reader = Registry.fromConnectionString(settings.registryRead);
    return [
      (await call(reader, 'get', CELLS[0])).deviceId,
      await refused(() => call(reader, 'delete', CELLS[0])),
      await refused(() => call(reader, 'getTwin', CELLS[0])),
    ];
  });
});
