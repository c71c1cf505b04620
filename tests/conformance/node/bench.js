'use strict';
// What the scenarios share: the bench's settings, one line of JSON a check, and
// waits that have a limit. A scenario says what the SDK saw and judges nothing.
// Both generations of the SDKs take callbacks, so that is how they are called.

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { NoRetry } = require('azure-iot-common');

const PATIENCE = 20000;
const settings = JSON.parse(process.env.CONFORMANCE_BENCH);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');

/** The promise, or an error when it takes too long. */
function limited(what, promise) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error(`${what}: nothing after ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Calls a method that takes a callback as its last argument. */
function call(object, method, ...args) {
  return limited(method, new Promise((ok, no) => {
    object[method](...args, (error, result) => (error ? no(error) : ok(result)));
  }));
}

/** Runs `body` and reports what it gives. */
async function check(name, body) {
  let saw;
  try {
    saw = await body();
  } catch (error) {
    saw = { unexpected: `${error.stack}\n${error.responseBody || ''}` };
  }
  print({ check: name, saw });
}

/** Asks the bench for something that no SDK can do. */
async function ask(what, more) {
  print({ ask: what, ...more });
  return JSON.parse((await limited(what, lines.next())).value);
}

/** Waits until `wanted` gives something true; that. */
async function until(what, wanted) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const value = await wanted();
    if (value) return value;
    if (Date.now() > end) throw new Error(`no ${what}`);
    await new Promise((ok) => setTimeout(ok, 20));
  }
}

/** The hub's code in a refusal: a name, or a number for methods. */
function code(body) {
  const message = JSON.parse(body).Message;
  if (message.startsWith('ErrorCode:')) return message.slice('ErrorCode:'.length).split(';')[0];
  return JSON.parse(message).errorCode;
}

/** The error of a call that should fail: its class, and what the hub said. */
async function refused(act) {
  let value;
  try {
    value = await act();
  } catch (error) {
    if (error.response && error.responseBody) {
      return { error: error.name, status: error.response.statusCode, code: code(error.responseBody) };
    }
    // The SDK wraps what MQTT or TLS said, or leaves it as the text alone.
    const inner = error.transportError || error.innerError || error;
    return { error: error.name, cause: inner.code || inner.message.split(': Host:')[0] };
  }
  return { done: String(value) };
}

function versions() {
  const names = ['azure-iot-device', 'azure-iot-device-mqtt', 'azure-iothub'];
  const version = (name) => JSON.parse(fs.readFileSync(
    path.join(process.env.NODE_PATH, name, 'package.json'), 'utf8')).version;
  return Object.fromEntries(names.map((name) => [name, version(name)]));
}

/** A device client and what came for it. */
class Device {
  constructor(client, { retry = true } = {}) {
    this.client = client;
    this.patches = [];
    this.lost = 0;
    if (!retry) client.setRetryPolicy(new NoRetry());
    client.on('disconnect', () => { this.lost += 1; });
    client.on('error', () => {});
  }

  static of(text, options) {
    return new Device(Client.fromConnectionString(text, Mqtt), options);
  }

  open() {
    return call(this.client, 'open');
  }

  /** Takes changes of desired properties, and methods, answered by
   * `answer(request)`: status and payload, or nothing for no answer. */
  async listen(methods, answer) {
    this.twin = await call(this.client, 'getTwin');
    let known = this.twin.properties.desired.$version;
    this.twin.on('properties.desired', (patch) => {
      // It gives what it read as well, at once and after each reading.
      if (patch.$version <= known) return;
      known = patch.$version;
      this.patches.push(JSON.parse(JSON.stringify(patch)));
    });
    this.take(methods, answer);
  }

  /** Takes methods; connects if need be. */
  take(methods, answer) {
    for (const method of methods) {
      this.client.onDeviceMethod(method, (request, response) => {
        const given = answer(request);
        if (given) response.send(given[0], given[1], () => {});
      });
    }
  }

  async patch() {
    await until('desired change', () => this.patches.length > 0);
    return this.patches.shift();
  }

  async isLost() {
    await until('disconnection', () => this.lost > 0);
    return true;
  }

  report(properties) {
    return call(this.twin.properties.reported, 'update', properties);
  }

  close() {
    return call(this.client, 'close');
  }
}

const parts = (text) => Object.fromEntries(text.split(';').map((part) => {
  const at = part.indexOf('=');
  return [part.slice(0, at), part.slice(at + 1)];
}));

/** A token of so many seconds, signed with the key of a connection string. */
function token(text, seconds) {
  const of = parts(text);
  const resource = encodeURIComponent(`${of.HostName}/devices/${of.DeviceId}`);
  const ends = Math.floor(Date.now() / 1000 + seconds);
  const signature = crypto.createHmac('sha256', Buffer.from(of.SharedAccessKey, 'base64'))
    .update(`${resource}\n${ends}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${ends}`;
}

/** A connection string with another key. */
const withKey = (text, key) => `${text.split('SharedAccessKey=')[0]}SharedAccessKey=${key}`;

const WRONG_KEY = Buffer.from([...Array(32).keys()]).toString('base64');

const plain = (section) => Object.fromEntries(
  Object.entries(JSON.parse(JSON.stringify(section))).filter(([name]) => !name.startsWith('$')));

/** Ends at once: SDK timers may linger. */
const end = () => process.stdout.write('', () => process.exit(0));

/** Runs a scenario. What it does not catch ends it, and its checks are missed. */
const run = (scenario) => scenario().then(end, (error) => {
  console.error(error);
  process.exit(1);
});

module.exports = {
  Device, WRONG_KEY, ask, call, check, plain, refused, run, settings, token, until, versions, withKey,
};
