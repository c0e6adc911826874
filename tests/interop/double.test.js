// SPDX-License-Identifier: BSD-3-Clause
// The doubles with each other: what they can't do between themselves they can't show of us.
'use strict'
const { assert, test, finallyDo, eventually } = require('./tap')
const { sha256, bytesOf, service, serveDigest, serveEcho, talk, freePort, listens } = require('./net-tools')
const { testnet } = require('./testnet')
const Gateway = require('./double/gateway')
const Provider = require('./double/provider')
const crypto = require('crypto')

test('gateway and provider of the original\'s kind carry bytes', 60, async ({ after }) => {
  const net = await testnet()
  after(net.close)
  const secret = crypto.randomBytes(32).toString('hex')
  const digest = await service(serveDigest)
  const echo = await service(serveEcho)
  after(digest.close)
  after(echo.close)
  const gates = [await freePort(), await freePort()]
  const provider = new Provider({ secret, bootstrap: net.bootstrap, advertiseMs: 300, services: [
    { gatePort: gates[0], servicePort: digest.port }, { gatePort: gates[1], servicePort: echo.port }] })
  after(() => provider.close())
  const gateway = new Gateway({ secret, bootstrap: net.bootstrap, halfOpen: true, refreshMs: 500 })
  after(() => gateway.close())
  for (const gate of gates) await eventually(() => listens(gate), 30, 'gate ' + gate)

  // Small: the original's end overtakes what is queued, so the tail of a large half-closed upload would be lost.
  const small = bytesOf('small', 1000)
  assert.strictEqual((await talk(gates[0], small)).bytes.toString(), sha256(small))
  const large = bytesOf('large', 5 * 1024 * 1024)
  const echoed = await talk(gates[1], large, { halfClose: false, expect: large.length })
  assert.strictEqual(sha256(echoed.bytes), sha256(large))
  assert.ok(provider.opens.some((fingerprint) => fingerprint.protocol === 'tcp' && fingerprint.gatePort === gates[0]))
})
