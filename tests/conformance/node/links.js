'use strict';
// Links that end: cut, taken over, with the token.

const { Client: ServiceClient, Registry } = require('azure-iothub');
const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Device, ask, call, check, refused, run, settings, token, until, versions } = require('./bench');

const hub = Registry.fromConnectionString(settings.owner);
const service = ServiceClient.fromConnectionString(settings.owner);

const echo = (request) => [200, { got: request.payload }];

const invoke = async (id, payload) => (await call(service, 'invokeDeviceMethod', id, {
  methodName: 'echo', payload, responseTimeoutInSeconds: 10, connectTimeoutInSeconds: 10,
})).payload;

async function ready(device, id) {
  await device.open();
  await device.listen(['echo'], echo);
  // Subscriptions go out in order: this one answered, the earlier are there.
  await invoke(id, 'ready');
}

/** Method, desired change and report, on whatever link there is. */
async function works(device, id, mark) {
  const method = (await invoke(id, mark)).got;
  await call(hub, 'updateTwin', id, { properties: { desired: { mark } } }, '*');
  const desired = (await device.patch()).mark;
  await device.report({ mark });
  const reported = (await call(hub, 'getTwin', id)).properties.reported.mark;
  const read = (await call(device.client, 'getTwin')).properties.reported.mark;
  return { desired, method, reported, read };
}

run(async () => {
  await check('versions', versions);

  await check('a cut connection', async () => {
    const id = 'cell-0001';
    const device = Device.of(settings.devices[id]);
    await ready(device, id);
    const saw = [await works(device, id, 'before')];
    for (const number of [1, 2]) {
      const before = await ask('connections');
      await ask('cut');
      await until('reconnection', async () => (await ask('connections')) > before);
      saw.push({ lost: true }, await works(device, id, `after ${number}`));
    }
    await device.close();
    return saw;
  });

  await check('a hub that is away', async () => {
    const id = 'cell-0005';
    const device = Device.of(settings.devices[id]);
    await ready(device, id);
    const saw = [await works(device, id, 'before')];
    const before = await ask('connections');
    await ask('away', { is: true });
    await ask('cut');
    await until('second attempt', async () => (await ask('connections')) >= before + 2);
    await ask('away', { is: false });
    saw.push({ lost: true }, await works(device, id, 'after'));
    await device.close();
    return saw;
  });

  await check('taken over', async () => {
    const id = 'cell-0002';
    const first = Device.of(settings.devices[id], { retry: false });
    await ready(first, id);
    const second = Device.of(settings.devices[id]);
    await second.open();
    const lost = await first.isLost();
    await second.listen(['echo'], echo);
    await invoke(id, 'ready');
    const saw = {
      'first lost': lost, second: await works(second, id, 'mine'),
      'second lost': second.lost > 0, 'first heard': first.patches.length,
    };
    await second.close();
    return saw;
  });

  await check('a token that ends', async () => {
    const id = 'cell-0003';
    const text = settings.devices[id];
    const device = new Device(
      Client.fromSharedAccessSignature(token(text, 7), Mqtt), { retry: false });
    await ready(device, id);
    const saw = { before: await works(device, id, 'before'), lost: await device.isLost() };
    saw.ended = await refused(() => device.open());
    await call(device.client, 'updateSharedAccessSignature', token(text, 600));
    await device.open();
    // The method's subscription is in the kept session.
    saw.fresh = await works(device, id, 'after');
    await device.close();
    return saw;
  });

  await check('a token that is renewed', async () => {
    // The SDK renews so many seconds before the end, so here after six seconds.
    const id = 'cell-0004';
    const before = await ask('connections');
    const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(settings.devices[id], 16, 10);
    const device = new Device(Client.fromAuthenticationProvider(provider, Mqtt));
    await ready(device, id);
    const saw = [await works(device, id, 'before')];
    await until('renewal', async () => (await ask('connections')) >= before + 2);
    saw.push(await works(device, id, 'after'));
    await device.close();
    return saw;
  });
});
