'use strict';
// Leads names and ports elsewhere, before any SDK is loaded.
//
// The SDKs know only the ports 443 and 8883. CONFORMANCE_REDIRECT holds rules
// such as "hub.test:8883=127.0.0.1:40123", separated by spaces; a TLS connection
// to the left side goes to the right one. It still asks for, and checks, the
// certificate of the name that it was given.

const tls = require('tls');

const rules = new Map((process.env.CONFORMANCE_REDIRECT || '')
  .split(' ').filter(Boolean).map((rule) => rule.split('=')));
const connect = tls.connect;

tls.connect = function (options, ...rest) {
  if (options !== null && typeof options === 'object') {
    const to = rules.get(`${options.host || options.hostname}:${options.port}`);
    if (to) {
      const [host, port] = to.split(':');
      const servername = options.servername || options.host || options.hostname;
      options = Object.assign({}, options, { servername, host, hostname: host, port: Number(port) });
    }
  }
  return connect.call(this, options, ...rest);
};
