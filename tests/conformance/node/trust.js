'use strict';
// Is the hub's certificate checked? Run with its authority, and without.

const { Registry } = require('azure-iothub');
const { Device, call, check, refused, run, settings, versions } = require('./bench');

const ID = 'cell-0001';

const service = async (text) => refused(
  async () => (await call(Registry.fromConnectionString(text), 'get', ID)).deviceId);
const device = async (text) => refused(async () => {
  const one = Device.of(text, { retry: false });
  await one.open();
  await one.close();
  return true;
});
const otherName = (text) => text.replace(settings.host, settings.otherName);

run(async () => {
  await check('versions', versions);
  await check('service', () => service(settings.owner));
  await check('device', () => device(settings.devices[ID]));
  await check('service, another name', () => service(otherName(settings.owner)));
  await check('device, another name', () => device(otherName(settings.devices[ID])));
});
