// SPDX-License-Identifier: BSD-3-Clause
// Ours beside originals that come, go, die, are slow, stall or have a wrong clock, and the other way round. Whoever is served
// is served whole; whoever is not sees a reset, never an end.
'use strict'
const net = require('net')
const { assert, test, eventually, sleep } = require('./tap')
const { sha256, bytesOf, service, serveEcho, serveBytes, talk, freePort, listens, linger } = require('./net-tools')
const { sharedTestnet, openNode } = require('./testnet')
const { newSecret, startInstance } = require('./hypergate')
const { spawnDouble } = require('./double/process')
const Gateway = require('./double/gateway')
const Provider = require('./double/provider')

const KB = 1024
const MB = 1024 * KB
const HOUR_MS = 3600 * 1000
const QUICK = { advertiseMs: 300, refreshMs: 1000 }             // the original's 5 s teach nothing more
const dht = sharedTestnet(3)

// A router of its own with an echo and whatever else is told, each behind a gate port.
async function router (after, kinds = {}) {
  const { bootstrap, text } = await dht()
  const r = { secret: newSecret(), bootstrap, text, gate: {}, services: [], kinds: { echo: await service(serveEcho), ...kinds } }
  for (const [kind, { port, close }] of Object.entries(r.kinds)) {
    after(close)
    r.gate[kind] = await freePort()
    r.services.push({ gatePort: r.gate[kind], servicePort: port, serviceHost: '127.0.0.1' })
  }
  return r
}

function ours (after, r, role) {
  const services = r.services.map(({ stallMs, ...s }) => ({ ...s, protocol: 'tcp' }))
  const instance = startInstance({ bootstrap: [r.text],
    ...(role === 'provider' ? { provider: { services } } : { gateway: { listen: '127.0.0.1' } }) }, r.secret)
  after(() => instance.stop())
  return instance
}

function theirs (after, r, Double, options = {}) {
  const double = new Double({ ...QUICK, secret: r.secret, bootstrap: r.bootstrap, dht: openNode(r.bootstrap), services: r.services,
    halfOpen: true, ...options })
  const close = double.close.bind(double)
  let closed = false
  double.close = async () => { if (!closed) { closed = true; await close() } }
  after(double.close)
  return double
}

const gateOpens = (r, seconds = 20) => eventually(() => listens(r.gate.echo), seconds, 'gate ' + r.gate.echo)

// Whether a client was served whole; one that was not must have seen a reset.
async function echoed (port, seed, length = 100 * KB) {
  const bytes = bytesOf(seed, length)
  const { bytes: back, error } = await talk(port, bytes, { halfClose: false, expect: length })
  if (back.length === length) assert.strictEqual(sha256(back), sha256(bytes))
  else assert.ok(bytes.subarray(0, back.length).equals(back), 'what came is not what was sent')
  return back.length === length && error === null
}

async function echoes (port, seed, length) { assert.ok(await echoed(port, seed, length), 'not served: ' + seed) }
const servedWithin = (port, seed, seconds) => eventually(() => echoed(port, seed), seconds, seed)

// A client in the middle of an exchange; .over: resolves to what it got and how it was told; .lost: it has.
async function midway (port) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let got = ''
  let error = null
  socket.on('data', (bytes) => { got += bytes })
  socket.on('error', (e) => { error = e.code })
  socket.write('midway')
  const client = { lost: false }
  client.over = new Promise((resolve) => socket.on('close', () => { client.lost = true; resolve([got, error]) }))
  await eventually(() => got === 'midway', 10, 'the exchange has begun')
  return client
}

async function lostMidway (r, client) {
  assert.deepStrictEqual(await client.over, ['midway', 'ECONNRESET'])
  await eventually(() => r.kinds.echo.connections() === 0, 20, 'no connection to the service is left behind')
}

test('their provider goes and another comes', 60, async ({ after }) => {
  const r = await router(after)
  const provider = theirs(after, r, Provider)
  ours(after, r, 'gateway')
  await gateOpens(r)
  const client = await midway(r.gate.echo)
  await provider.close()
  await lostMidway(r, client)
  theirs(after, r, Provider)
  await servedWithin(r.gate.echo, 'after the restart', 20)
})

test('our gateway goes and another comes', 60, async ({ after }) => {
  const r = await router(after)
  theirs(after, r, Provider)
  const gateway = ours(after, r, 'gateway')
  await gateOpens(r)
  const client = await midway(r.gate.echo)
  const began = Date.now()
  assert.deepStrictEqual(await gateway.stop(), { code: 0, signal: null })
  assert.ok(Date.now() - began < 2500, 'it waits for a peer that keeps its side of the connection open')
  await lostMidway(r, client)
  ours(after, r, 'gateway')
  await gateOpens(r)
  await servedWithin(r.gate.echo, 'after the restart', 20)
})

test('our provider goes and another comes', 60, async ({ after }) => {
  const r = await router(after)
  const provider = ours(after, r, 'provider')
  const gateway = theirs(after, r, Gateway)
  await gateOpens(r)
  await echoes(r.gate.echo, 'before')
  await provider.stop()
  await eventually(() => gateway.ups().length === 0, 5, 'their gateway knows that it is gone')
  ours(after, r, 'provider')
  await eventually(() => gateway.ups().length === 1, 20, 'it is back')
  await servedWithin(r.gate.echo, 'after the restart', 20)
})

test('their gateway goes and another comes', 60, async ({ after }) => {
  const r = await router(after)
  ours(after, r, 'provider')
  const gateway = theirs(after, r, Gateway)
  await gateOpens(r)
  await echoes(r.gate.echo, 'before')
  await gateway.close()
  await eventually(() => r.kinds.echo.connections() === 0, 20, 'no connection to the service is left behind')
  theirs(after, r, Gateway)
  await gateOpens(r)
  await echoes(r.gate.echo, 'after the restart')
})

// Nobody is told: both sides find out by themselves, after 12 to 17 s.
test('one of two providers of theirs dies, and so does ours beside a gateway of theirs', 120, async ({ after }) => {
  const [r, s] = [await router(after), await router(after)]
  const options = { ...QUICK, secret: r.secret, bootstrap: r.bootstrap, services: r.services }
  const dying = spawnDouble('provider', options)
  after(dying.kill)
  const staying = spawnDouble('provider', options)
  after(staying.kill)
  const found = ours(after, r, 'gateway')
  const provider = ours(after, s, 'provider')
  const gateway = theirs(after, s, Gateway)
  await Promise.all([gateOpens(r), gateOpens(s)])
  await eventually(() => found.log().includes('connected to 2 providers'), 20, 'both are found')
  await sleep(1000)                                             // and tell their routes
  await Promise.all([echoes(r.gate.echo, 'before'), echoes(s.gate.echo, 'before')])

  const held = await Promise.all(Array.from({ length: 4 }, () => midway(r.gate.echo)))  // some on each
  await dying.kill()
  provider.child.kill('SIGKILL')
  ours(after, s, 'provider')
  await Promise.all([
    Promise.all(Array.from({ length: 10 }, (_, i) => echoes(r.gate.echo, 'after a death ' + i))),
    servedWithin(s.gate.echo, 'after ours died', 60)
  ])
  const left = () => held.filter((client) => !client.lost).length
  await eventually(() => left() < held.length && left() === r.kinds.echo.connections(), 20, 'who was with the dead knows it')
  for (const client of held) if (client.lost) assert.deepStrictEqual(await client.over, ['midway', 'ECONNRESET'])
  assert.ok(gateway.ups().length >= 1)
})

test('our gateway dies beside a provider of theirs, and theirs beside one of ours', 120, async ({ after }) => {
  const [r, s] = [await router(after), await router(after)]
  theirs(after, r, Provider)
  const gateway = ours(after, r, 'gateway')
  ours(after, s, 'provider')
  const dying = spawnDouble('gateway', { ...QUICK, secret: s.secret, bootstrap: s.bootstrap })
  after(dying.kill)
  await Promise.all([gateOpens(r), gateOpens(s)])
  const [client] = await Promise.all([midway(r.gate.echo), midway(s.gate.echo)])
  gateway.child.kill('SIGKILL')
  await dying.kill()
  assert.deepStrictEqual(await client.over, ['midway', 'ECONNRESET'])
  ours(after, r, 'gateway')
  theirs(after, s, Gateway)
  await Promise.all([r, s].map((one) => servedWithin(one.gate.echo, 'after a death', 20)))
  for (const one of [r, s]) await eventually(() => one.kinds.echo.connections() === 0, 30, 'the services are let go')
})

test('an original whose clock is five hours ahead, or days behind but for the last, is connected to', 60, async ({ after }) => {
  const r = await router(after)
  ours(after, r, 'provider')
  const ahead = theirs(after, r, Gateway, { clockMs: 5 * HOUR_MS })
  await gateOpens(r)
  await echoes(r.gate.echo, 'from the future')
  await ahead.close()
  theirs(after, r, Gateway, { clockMs: -23 * HOUR_MS })
  await gateOpens(r)
  await echoes(r.gate.echo, 'from the past')
})

test('a service of theirs that reads too slowly is cut off, visibly, and nothing else is', 60, async ({ after }) => {
  const r = await router(after, { deaf: await service((socket) => socket.pause()) })
  const provider = theirs(after, r, Provider)
  ours(after, r, 'gateway')
  await Promise.all([gateOpens(r), eventually(() => listens(r.gate.deaf), 20, 'its gate')])
  const upload = talk(r.gate.deaf, bytesOf('too much', 32 * MB), { halfClose: false })
  await eventually(() => provider.killed === 1, 20, 'it killed the channel')
  await echoes(r.gate.echo, 'beside it')
  assert.strictEqual((await upload).error, 'ECONNRESET')
  await echoes(r.gate.echo, 'after it', 2 * MB)
})

test('a client of theirs that reads too slowly is cut off, and nothing else is', 60, async ({ after }) => {
  const r = await router(after, { flood: await service(serveBytes(bytesOf('flood', 32 * MB))) })
  ours(after, r, 'provider')
  const gateway = theirs(after, r, Gateway)
  await Promise.all([gateOpens(r), eventually(() => listens(r.gate.flood), 20, 'its gate')])
  await eventually(() => r.kinds.flood.connections() === 0, 10, 'who only looked is gone')
  after(linger(r.gate.flood))
  await eventually(() => gateway.killed === 1, 20, 'it killed the channel')
  await eventually(() => r.kinds.flood.connections() === 0, 10, 'the service is let go')
  await echoes(r.gate.echo, 'after it', 2 * MB)
})

test('a service of theirs that stalls the whole provider holds others up, and answers stay matched', 60, async ({ after }) => {
  const r = await router(after, { slow: await service(serveBytes(Buffer.from('slow'))), gone: { port: await freePort(), close: async () => {} } })
  r.services.find((s) => s.gatePort === r.gate.slow).stallMs = 1500
  theirs(after, r, Provider)
  ours(after, r, 'gateway')
  for (const port of [r.gate.echo, r.gate.slow]) await eventually(() => listens(port), 20, 'gate ' + port)
  await sleep(2000)                                             // they that only looked stall it too
  const [slow, echo, gone] = [talk(r.gate.slow, Buffer.from('x')), echoed(r.gate.echo, 'behind it'), talk(r.gate.gone, Buffer.from('x'))]
  assert.strictEqual((await slow).bytes.toString(), 'slow')
  assert.ok(await echo)
  assert.deepStrictEqual([(await gone).error, (await gone).bytes.length], ['ECONNRESET', 0])
})

test('both start at the same moment, again and again, and settle on one connection', 90, async ({ after }) => {
  for (let i = 0; i < 5; i++) {
    const r = await router(after)
    const undo = []
    const later = (what) => undo.push(what)
    const gateway = ours(later, r, 'gateway')
    await eventually(() => gateway.log().includes('ready'), 20, 'it runs')
    const provider = theirs(later, r, Provider)
    await gateOpens(r, 8)                                       // a connection that comes up half dies after 14 s
    await sleep(500)
    assert.strictEqual(provider.links.size, 1)
    await echoes(r.gate.echo, 'at once ' + i)
    for (const what of undo.reverse()) await what()
  }
})
