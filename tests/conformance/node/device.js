'use strict';
// A device and the service that works with it: twin, methods, telemetry.

const { Client: ServiceClient, Registry } = require('azure-iothub');
const { Message } = require('azure-iot-device');
const {
  Device, WRONG_KEY, ask, call, check, plain, refused, run, settings, until, versions, withKey,
} = require('./bench');

const ID = 'cell-0001';
const hub = Registry.fromConnectionString(settings.owner);
const service = ServiceClient.fromConnectionString(settings.owner);
const text = settings.devices[ID];
const device = Device.of(text, { retry: false });
const asked = [];
const OLD = versions()['azure-iot-device'] === '1.7.3';

function answer(request) {
  asked.push({ name: request.methodName, payload: request.payload });
  switch (request.methodName) {
    case 'status': return [request.payload.status, { told: true }];
    // The SDK of 2018 does not send nothing; a null then.
    case 'nothing': return [200, OLD ? null : undefined];
    case 'silent': return undefined;
    default: return [200, { got: request.payload }];
  }
}
const METHODS = ['firmwareUpdate', 'status', 'nothing', 'silent', 'echo'];

const invoke = (methodName, payload = null, seconds = 10, connect = 0, to = ID) => call(
  service, 'invokeDeviceMethod', to,
  { methodName, payload, responseTimeoutInSeconds: seconds, connectTimeoutInSeconds: connect });
const answered = (result) => ({ status: result.status, payload: result.payload });
const twin = () => call(hub, 'getTwin', ID);
const desired = (properties, etag = '*', tags = undefined) => call(
  hub, 'updateTwin', ID, { tags, properties: { desired: properties } }, etag);
const state = async () => (await call(hub, 'get', ID)).connectionState;

const opened = (other) => refused(() => Device.of(other, { retry: false }).open());

run(async () => {
  await check('versions', versions);

  await check('offline: a method', () => refused(() => invoke('reboot')));
  await check('offline: a method that waits for nobody', () => refused(() => invoke('reboot', null, 10, 1)));

  let known;
  await check('connect', async () => {
    await device.open();
    await device.listen(METHODS, answer);
    known = device.twin.properties;
    known = { desired: plain(known.desired), versions: [known.desired.$version, known.reported.$version] };
    // Subscriptions go out in order: this one answered, the earlier are there.
    await invoke('echo', 1, 10, 10);
    return { service: await state() };
  });
  const silence = refused(() => invoke('silent', {}, 5));
  await check('twin: the device reads', () => known);

  await check('desired: a patch with the etag', async () => {
    const before = await twin();
    const after = await desired({ interval: 5, mode: { night: true } }, before.etag, { site: 'lab' });
    const patch = await device.patch();
    return {
      patch: plain(patch),
      version: patch.$version - before.properties.desired.$version,
      tags: after.tags,
      'etag changed': before.etag !== after.etag,
    };
  });
  await check('desired: a patch with a stale etag', async () => {
    const stale = (await twin()).etag;
    await desired({ interval: 6 });
    await device.patch();
    const error = await refused(() => desired({ interval: 7 }, stale));
    await desired({ mode: null });
    // The next change that the device hears of is not the refused one.
    return {
      refused: error,
      'the next patch': plain(await device.patch()),
      desired: plain((await twin()).properties.desired),
      device: plain(device.twin.properties.desired),
    };
  });

  await check('reported', async () => {
    const before = (await twin()).properties.reported.$version;
    await device.report({ firmwareStatus: 'standBy', old: 1 });
    await device.report({ old: null, nested: { a: [1, 'ä'] } });
    const reported = (await twin()).properties.reported;
    return {
      reported: plain(reported),
      version: reported.$version - before,
      stamped: '$lastUpdated' in reported.$metadata.firmwareStatus,
    };
  });

  await check('method', async () => {
    asked.length = 0;
    const result = answered(await invoke('firmwareUpdate', { fwPackageUri: 'https://example.test/fw', n: [1, null] }));
    return [asked[0].name, result];
  });
  await check("method: the device's own status", async () => {
    const results = [];
    for (const status of [202, 400, 404, 500]) results.push(answered(await invoke('status', { status })));
    return results;
  });
  await check('method: payloads', async () => {
    const results = [];
    for (const value of ['', 0, false, 'text', [], {}]) results.push((await invoke('echo', value)).payload.got);
    return results;
  });
  await check('method: nothing said', async () => {
    asked.length = 0;
    const result = answered(await invoke('nothing'));
    return { asked: asked[0].payload, answered: result };
  });
  await check('method: unknown device', () => refused(() => invoke('reboot', null, 10, 0, 'nobody')));
  await check('method: no answer', async () => {
    const saw = await silence;
    const counts = await ask('methods', { device: ID });
    return { refused: saw, 'delivered, not answered': counts.delivered - counts.answered };
  });

  await check('telemetry', async () => {
    const before = (await call(hub, 'get', ID)).lastActivityTime;
    const message = new Message('{"temperature":21}');
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.properties.add('alert', 'yes & no/ü');
    await call(device.client, 'sendEvent', message);
    return (await call(hub, 'get', ID)).lastActivityTime > before;
  });

  await check('method: waits for the device', async () => {
    await device.close();
    await until('disconnection', async () => (await state()) === 'Disconnected');
    const later = Device.of(text, { retry: false });
    const waiting = invoke('echo', 1, 10, 10);
    // Before it connects: the kept session brings the method at once.
    later.take(METHODS, answer);
    const result = answered(await waiting);
    await later.close();
    return result;
  });

  await check('disabled', async () => {
    const doomed = Device.of(text, { retry: false });
    await doomed.open();
    await doomed.listen(METHODS, answer);
    await invoke('echo', 1, 10, 10);
    const identity = await call(hub, 'get', ID);
    const put = (status) => call(hub, 'update', {
      deviceId: ID, status, authentication: { symmetricKey: identity.authentication.symmetricKey },
    });
    await put('disabled');
    const saw = {
      lost: await doomed.isLost(),
      method: await refused(() => invoke('echo', 1)),
      connect: await opened(text),
    };
    await put('enabled');
    const again = Device.of(text, { retry: false });
    await again.open();
    saw['enabled again'] = await state();
    await again.close();
    return saw;
  });

  await check('the second key', async () => {
    const { secondaryKey } = (await call(hub, 'get', ID)).authentication.symmetricKey;
    const other = Device.of(withKey(text, secondaryKey), { retry: false });
    await until('disconnection', async () => (await state()) === 'Disconnected');
    await other.open();
    const saw = await state();
    await other.close();
    return saw;
  });
  await check('an id with signs', async () => {
    const signs = settings.signs;
    const made = await call(hub, 'create', { deviceId: signs });
    const other = Device.of(`HostName=${settings.host};DeviceId=${signs};SharedAccessKey=${
      made.authentication.symmetricKey.primaryKey}`, { retry: false });
    await other.open();
    await other.listen(METHODS, answer);
    const method = answered(await invoke('echo', 1, 10, 10, signs));
    await call(hub, 'updateTwin', signs, { properties: { desired: { mark: 1 } } }, '*');
    const saw = { made: made.deviceId, patch: plain(await other.patch()), method };
    await other.report({ mark: 2 });
    await call(other.client, 'sendEvent', new Message('heard'));
    saw.reported = plain((await call(hub, 'getTwin', signs)).properties.reported);
    await other.close();
    await call(hub, 'delete', signs);
    return { ...saw, deleted: await refused(() => call(hub, 'get', signs)) };
  });
  await check('a wrong device key', () => opened(withKey(text, WRONG_KEY)));
  await check('an unknown device', () => opened(text.replace(ID, 'nobody')));
});
