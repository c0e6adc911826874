// SPDX-License-Identifier: BSD-3-Clause
// Row by row: what an original does on the wire that is unusual, odd or wrong, said frame by frame to one provider and one
// gateway of ours; and that after each of them bytes still flow, whole. Numbers are those of hypergate.md.
'use strict'
const crypto = require('crypto')
const net = require('net')
const DHT = require('hyperdht')
const { assert, test, finallyDo, eventually, sleep } = require('./tap')
const { sha256, bytesOf, service, serveEcho, serveBytes, talk, freePort, listens } = require('./net-tools')
const { testnet, openNode } = require('./testnet')
const { newSecret, startInstance } = require('./hypergate')
const { router, authBlob, frame, openBody } = require('./double/protocol')
const { dial, listed, EXTENSION, HELLO, OPEN, STREAM, CLOSE, ADVERT, END } = require('./double/wire')

const HOUR_MS = 3600 * 1000
const KB = 1024
const PROVIDER = false
const GATEWAY = true

// One DHT, a provider and a gateway of ours at routers of their own, for all tests.
let shared = null

// As a person writes it: a gateway of the original's is told what is meant.
const echoPolicy = {
  ips: { '192.0.2.0/24': { bandwidthLimit: { mbps: 10 }, onlyPorts: [{ from: 1, to: 80 }], desc: 'the lab' }, '2001:DB8:0::1': { allow: false, labels: ['out'] } },
  defaults: {}
}

async function world () {
  if (shared) return shared
  const dht = await testnet(3)
  finallyDo(() => dht.close())
  const node = openNode(dht.bootstrap)
  finallyDo(() => node.destroy())
  const kinds = { echo: await service(serveEcho), hello: await service(serveBytes(bytesOf('hello', 300 * KB))), greedy: await service((socket) => socket.pause()) }
  const gate = {}
  const services = []
  for (const [kind, { port, close }] of Object.entries(kinds)) {
    finallyDo(close)
    gate[kind] = await freePort()
    services.push({ gatePort: gate[kind], servicePort: port, serviceHost: '127.0.0.1', protocol: 'tcp',
      ...(kind === 'echo' && { ingressPolicy: echoPolicy }) })
  }
  const secrets = { provider: newSecret(), gateway: newSecret() }
  const provider = startInstance({ bootstrap: [dht.text], provider: { services } }, secrets.provider)
  finallyDo(() => provider.stop())
  const gateway = startInstance({ bootstrap: [dht.text], gateway: { listen: '127.0.0.1' } }, secrets.gateway)
  finallyDo(() => gateway.stop())
  shared = { node, kinds, gate, provider, gateway, routers: { provider: router(secrets.provider), gateway: router(secrets.gateway) } }
  shared.keys = { provider: await listed(node, shared.routers.provider.topic), gateway: await listed(node, shared.routers.gateway.topic) }
  return shared
}

// A connection to our provider or gateway that has said nothing yet.
async function wireTo (ours, after, keyPair) {
  const { node, keys, routers } = await world()
  const wire = await dial(node, keys[ours], routers[ours], keyPair)
  after(async () => wire.close())
  return wire
}

// We are a gateway of the original's kind, and it knows; its routes are here.
async function asGateway (after, options) {
  const wire = await wireTo('provider', after)
  wire.hello(GATEWAY, options)
  assert.strictEqual((await wire.next(HELLO)).channel, 0)
  const { routes } = JSON.parse((await wire.next(ADVERT)).body)
  wire.routes = routes
  return wire
}

const ids = (() => { let last = 0; return () => ++last })()

// Opens, sends, gets the same back, ends, and sees it end: nothing of the channel is left.
async function echoes (wire, length = 100 * KB, id = ids()) {
  const { gate } = await world()
  const bytes = bytesOf('echo ' + id, length)
  wire.open(id, gate.echo)
  const confirm = await wire.next(OPEN, id)
  assert.deepStrictEqual([confirm.length, confirm.text.length, confirm.body.readUInt32BE(0), confirm.body[4]], [11, 0, gate.echo, 0])
  for (let at = 0; at < length; at += 60 * KB) wire.send(STREAM, id, bytes.subarray(at, at + 60 * KB))
  const back = await wire.received(id, length)
  assert.strictEqual(sha256(back), sha256(bytes))
  wire.send(END, id)
  await wire.next(END, id)
  await wire.next(CLOSE, id)
}

async function refusal (wire, id, seconds = 5) {
  const answer = await wire.next(OPEN, id, seconds)
  assert.ok(answer.text.length > 0 && answer.text.length <= 255)
  return JSON.parse(answer.text)
}

// --- Our provider ---

test('3, 4: hello is 79 bytes with the role, said once; routes follow at once, as the original writes them', 30, async ({ after }) => {
  const wire = await wireTo('provider', after)
  const hello = await wire.next(HELLO)
  assert.deepStrictEqual([hello.length, hello.channel, hello.body[0]], [79, 0, 0x15])
  const { kinds, gate } = await world()
  assert.ok(!wire.frames.some((f) => f.action === ADVERT), 'no route before our hello')
  wire.hello(GATEWAY)
  const { routes } = JSON.parse((await wire.next(ADVERT, 0, 2)).body)
  assert.deepStrictEqual(routes.map((r) => [r.gatePort, r.servicePort]).sort(), Object.keys(kinds).map((k) => [gate[k], kinds[k].port]).sort())
  assert.deepStrictEqual(routes.find((r) => r.gatePort === gate.echo).ingressPolicy, {
    defaults: { allow: true },
    ips: { '192.0.2.0/24': { allow: true, bandwidthLimit: { mbps: 10, burstMbps: 10 }, onlyPorts: [1, 80] }, '2001:db8::1': { allow: false, labels: ['out'] } }
  })
  assert.ok(routes.filter((r) => r.gatePort !== gate.echo).every((r) => Object.keys(r.ingressPolicy).length === 0))
  assert.deepStrictEqual(Object.keys(routes[0]), ['serviceHost', 'servicePort', 'protocol', 'gatePort', 'routes', 'ingressPolicy'])
  await echoes(wire)
  assert.ok(!wire.frames.some((f) => f.action === HELLO))
})

test('weakness 14.5: a clock that is wrong by hours, either way, keeps nobody out; one that is wrong by days does', 30, async ({ after }) => {
  for (const hours of [-23, -0.3, 6, 23]) await echoes(await asGateway(after, { lead: hours * HOUR_MS }), KB)
  for (const hours of [-25, 24 * 365]) {
    const wire = await wireTo('provider', after)
    wire.hello(GATEWAY, { lead: hours * HOUR_MS })
    await wire.gone()
    assert.ok(!wire.frames.some((f) => f.action === ADVERT))
  }
})

test('weakness 14.5: a peer whose clock was wrong is welcome as soon as it is right', 30, async ({ after }) => {
  const keyPair = DHT.keyPair()
  const wrong = await wireTo('provider', after, keyPair)
  wrong.hello(GATEWAY, { lead: -48 * HOUR_MS })
  await wrong.gone()
  await sleep(200)
  const right = await wireTo('provider', after, keyPair)
  right.hello(GATEWAY)
  await right.next(ADVERT)
  await echoes(right, KB)
})

test('weakness 14.6: a hello is worth nothing in another\'s mouth, and as much as before in its owner\'s', 30, async ({ after }) => {
  const keyPair = DHT.keyPair()
  const first = await wireTo('provider', after, keyPair)
  const blob = first.hello(GATEWAY)
  await first.next(ADVERT)
  const thief = await wireTo('provider', after)
  thief.hello(GATEWAY, { blob })
  await thief.gone()
  assert.ok(!thief.frames.some((f) => f.action === ADVERT))
  const again = await wireTo('provider', after, keyPair)
  again.hello(GATEWAY, { blob })
  await again.next(ADVERT)
  await echoes(again, KB)
})

test('3: a hello by the wrong secret, reflected, cut or too long brings no route', 30, async ({ after }) => {
  const { node, keys, routers } = await world()
  const bad = [
    (wire) => wire.hello(GATEWAY, { blob: authBlob({ ...routers.provider, authKey: crypto.randomBytes(64) }, wire.stream.publicKey, keys.provider, Date.now()) }),
    async (wire) => wire.hello(GATEWAY, { blob: (await wire.next(HELLO)).body }),
    (wire) => wire.hello(GATEWAY, { blob: authBlob(routers.provider, wire.stream.publicKey, keys.provider, Date.now()).subarray(0, 72) }),
    (wire) => wire.hello(GATEWAY, { tail: Buffer.from('x') }),
    (wire) => wire.hello(GATEWAY, { blob: Buffer.alloc(0) })
  ]
  for (const say of bad) {
    const wire = await dial(node, keys.provider, routers.provider)
    after(async () => wire.close())
    await say(wire)
    await wire.gone()
    assert.ok(!wire.frames.some((f) => f.action === ADVERT))
  }
})

test('3: what comes before hello counts for nothing; two providers part', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await wireTo('provider', after)
  wire.open(1, gate.echo)
  wire.send(CLOSE, 0)
  wire.hello(GATEWAY)
  await wire.next(ADVERT)
  await echoes(wire)
  assert.ok(!wire.frames.some((f) => f.action === OPEN), 'an open before hello was answered')
  const provider = await wireTo('provider', after)
  provider.hello(PROVIDER)
  await provider.gone()
})

test('15.1: a provider is told things it does not know', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await asGateway(after)
  const id = ids()
  wire.advertise({ routes: [], hgx: { v: 1, f: ['order'] } })
  wire.advertise('null')
  wire.advertise('{')
  wire.hello(GATEWAY)                                           // a second one
  wire.send(0x33, 0, Buffer.from('who knows'))                  // unknown, no error length
  wire.raw(Buffer.from('0000000741010000000130', 'hex'))        // unknown, silent kind: a credit too short to be one
  wire.raw(Buffer.from('000000075f010000000130', 'hex'))
  wire.raw(Buffer.from('0000000205ff', 'hex'))                  // no room for a header
  wire.raw(Buffer.alloc(4))                                     // no payload at all
  wire.stream.send(Buffer.from('unordered'))
  wire.open(id, gate.echo, { id: 'x', hgx: { credit: 1 }, more: { of: ['it'] } })
  assert.strictEqual((await wire.next(OPEN, id)).text.length, 0)
  wire.send(CLOSE, id)
  await echoes(wire)
})

test('2: frames are found in any cut, up to 10 MiB; beyond it ends the connection', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await asGateway(after)
  const id = ids()
  const bytes = bytesOf('cut', 3000)
  const text = Buffer.concat([frame(OPEN, id, openBody(gate.echo, 0, {})), frame(STREAM, id), frame(STREAM, id, bytes)])
  for (let at = 0; at < text.length; at += 7) wire.raw(text.subarray(at, at + 7))
  await wire.next(OPEN, id)
  assert.ok((await wire.received(id, bytes.length)).equals(bytes))
  const large = bytesOf('large', 1000 * KB)
  const one = frame(STREAM, id, large)                          // one frame, in many messages
  for (let at = 0; at < one.length; at += 50 * KB) wire.raw(one.subarray(at, at + 50 * KB))
  assert.strictEqual(sha256(await wire.received(id, large.length)), sha256(large))
  const other = await asGateway(after)
  wire.raw(Buffer.from('00a00001', 'hex'))
  await wire.gone()
  await echoes(other)
})

test('2: odd opens: the old form, an unknown protocol, broken JSON, too short, and a port beyond 65535', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await asGateway(after)
  const old = openBody(gate.echo, 0).subarray(0, 4)
  const odd = [old, Buffer.concat([old, Buffer.from([7])]), Buffer.concat([old, Buffer.from('\0{"id":')]), Buffer.concat([old, Buffer.from('\0null')])]
  for (const body of odd) {
    const id = ids()
    wire.send(OPEN, id, body)
    assert.strictEqual((await wire.next(OPEN, id)).text.length, 0)
    wire.send(STREAM, id, Buffer.from('abc'))
    assert.strictEqual((await wire.received(id, 3)).toString(), 'abc')
    wire.send(CLOSE, id)
  }
  wire.send(OPEN, ids(), Buffer.alloc(3))
  wire.send(OPEN, 0, openBody(gate.echo, 0))
  const beyond = ids()
  wire.send(OPEN, beyond, openBody(65536 + gate.echo, 0, {}))
  assert.ok((await wire.next(OPEN, beyond)).text.toString().includes('Gate port is out of range'))
  await echoes(wire)
})

test('weakness 14.14: each open that fails is answered once, by its own number, after about a second', 30, async ({ after }) => {
  const { gate, kinds } = await world()
  const closed = await freePort()
  const wire = await asGateway(after)
  const [nobody, zero, dead] = [ids(), ids(), ids()]
  const began = Date.now()
  wire.open(nobody, closed)
  wire.open(zero, 0)
  wire.send(OPEN, dead, openBody(70000, 0))
  assert.match(await refusal(wire, nobody), /./)
  assert.strictEqual(await refusal(wire, zero), 'Gate port is required')
  assert.match(await refusal(wire, dead), /./)
  assert.ok(Date.now() - began >= 900, 'an original would try again at once')
  await echoes(wire)
  await sleep(100)
  assert.ok(!wire.frames.some((f) => f.action === OPEN && f.channel !== 0), 'answered twice')
  assert.strictEqual(kinds.echo.connections(), 0)
  assert.ok(gate.echo)
})

test('weakness 14.22: an open with a number in use takes its place; the old connection ends alone', 30, async ({ after }) => {
  const { gate, kinds } = await world()
  const wire = await asGateway(after)
  const id = ids()
  wire.open(id, gate.echo)
  await wire.next(OPEN, id)
  wire.open(id, gate.echo)
  await wire.next(OPEN, id)
  await eventually(() => kinds.echo.connections() === 1, 5, 'one connection to the service')
  wire.send(STREAM, id, Buffer.from('new'))
  assert.strictEqual((await wire.received(id, 3)).toString(), 'new')
  assert.ok(!wire.frames.some((f) => f.action === CLOSE), 'a close would hit the new one')
  wire.send(CLOSE, id)
  await eventually(() => kinds.echo.connections() === 0, 5, 'none is left')
})

test('16: a provider tolerates frames for nobody, twice, late and after the end', 30, async ({ after }) => {
  const { gate, kinds } = await world()
  const wire = await asGateway(after)
  const id = ids()
  for (const action of [STREAM, END, CLOSE]) wire.send(action, 999999, action === STREAM ? Buffer.from('late') : undefined)
  wire.open(id, gate.echo)
  await wire.next(OPEN, id)
  wire.send(CLOSE, id, Buffer.from('trailing bytes'))
  for (const action of [CLOSE, END, STREAM, CLOSE]) wire.send(action, id, action === STREAM ? Buffer.from('late') : undefined)
  await eventually(() => kinds.echo.connections() === 0, 5, 'the service is let go')
  await echoes(wire)
})

test('2: close for channel 0 closes all of this peer and nobody else\'s', 30, async ({ after }) => {
  const { gate, kinds } = await world()
  const [wire, other] = [await asGateway(after), await asGateway(after)]
  const theirs = ids()
  other.open(theirs, gate.echo)
  await other.next(OPEN, theirs)
  for (const id of [ids(), ids(), ids()]) {
    wire.open(id, gate.echo)
    await wire.next(OPEN, id)
  }
  wire.send(CLOSE, 0)
  await eventually(() => kinds.echo.connections() === 1, 5, 'only the other\'s is left')
  other.send(STREAM, theirs, Buffer.from('here'))
  assert.strictEqual((await other.received(theirs, 4)).toString(), 'here')
  other.send(CLOSE, theirs)
  await echoes(wire)
})

test('weakness 14.17: an end that overtakes queued data does not cut it off', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await asGateway(after)
  const [id, other] = [ids(), ids()]
  const bytes = bytesOf('overtaken', 400 * KB)
  for (const channel of [id, other]) {
    wire.open(channel, gate.echo)
    await wire.next(OPEN, channel)
  }
  wire.send(STREAM, id, bytes.subarray(0, 100 * KB))
  wire.send(END, id)
  for (let at = 100 * KB; at < bytes.length; at += 50 * KB) wire.send(STREAM, id, bytes.subarray(at, at + 50 * KB))
  assert.strictEqual(sha256(await wire.received(id, bytes.length)), sha256(bytes))
  await wire.next(END, id)
  wire.send(CLOSE, other)
})

test('weakness 14.16: our end leaves when all data has arrived, and nothing after it but the close', 30, async ({ after }) => {
  const { gate } = await world()
  const wire = await asGateway(after)
  const id = ids()
  wire.open(id, gate.hello)
  await wire.next(OPEN, id)
  const order = []
  await eventually(() => wire.frames.some((f) => f.action === END && f.channel === id), 10, 'the end')
  for (const f of wire.frames) if (f.channel === id) order.push(f.action)
  assert.strictEqual(order.indexOf(END), order.length - 1)
  assert.ok(wire.frames.every((f) => f.action !== STREAM || f.body.length <= 60 * KB))
  const whole = await wire.received(id, 300 * KB)
  assert.strictEqual(sha256(whole), sha256(bytesOf('hello', 300 * KB)))
  wire.send(END, id)
  await wire.next(CLOSE, id)
})

test('weakness 14.26: a second connection of the same key takes the first one\'s place', 30, async ({ after }) => {
  const { gate } = await world()
  const keyPair = DHT.keyPair()
  const first = await wireTo('provider', after, keyPair)
  first.hello(GATEWAY)
  await first.next(ADVERT)
  const id = ids()
  first.open(id, gate.echo)
  await first.next(OPEN, id)
  const second = await wireTo('provider', after, keyPair)
  second.hello(GATEWAY)
  await second.next(ADVERT)
  await first.gone()
  await echoes(second)
})

test('6: 200 opens at once are each answered once, and each channel keeps its own bytes', 60, async ({ after }) => {
  const { kinds } = await world()
  const wire = await asGateway(after)
  await Promise.all(Array.from({ length: 200 }, () => echoes(wire, 2 * KB)))
  await eventually(() => kinds.echo.connections() === 0, 5, 'none is left')
})

// --- Our gateway ---

// We are a provider of the original's kind with an echo behind @gatePort; the gate is open.
async function asProvider (after, gatePort, advert = {}) {
  const wire = await wireTo('gateway', after)
  wire.hello(PROVIDER)
  assert.strictEqual((await wire.next(HELLO)).channel, 1)
  wire.advertise({ routes: [{ serviceHost: '127.0.0.1', servicePort: 1, protocol: 0, gatePort, routes: [], ingressPolicy: {} }], ...advert })
  const opened = !await listens(gatePort)
  await eventually(() => listens(gatePort), 5, 'gate ' + gatePort)
  if (opened) await confirmed(wire, gatePort)                   // who looked whether it listens is gone
  return wire
}

// A client that has connected and sent @text.
function client (after, port, text) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const c = { socket, bytes: Buffer.alloc(0), ended: false, error: null, closed: false }
  socket.on('data', (chunk) => { c.bytes = Buffer.concat([c.bytes, chunk]) })
  socket.on('end', () => { c.ended = true })
  socket.on('error', (error) => { c.error = error.code })
  socket.on('close', () => { c.closed = true })
  if (text) socket.write(text)
  after(async () => socket.destroy())
  return c
}

async function confirmed (wire, gatePort, tail = '') {
  const open = await wire.next(OPEN)
  wire.send(OPEN, open.channel, Buffer.concat([openBody(gatePort, 0), Buffer.from(tail)]))
  return open.channel
}

// A whole exchange through the gate, the way an original's provider has it.
async function served (wire, after, gatePort, length = 50 * KB) {
  const bytes = bytesOf('served ' + gatePort, length)
  const c = client(after, gatePort, bytes)
  const id = await confirmed(wire, gatePort)
  wire.send(STREAM, id, await wire.received(id, length))
  await eventually(() => c.bytes.length === length, 5, 'the answer')
  assert.strictEqual(sha256(c.bytes), sha256(bytes))
  c.socket.end()
  await wire.next(END, id)
  wire.send(END, id)
  wire.send(CLOSE, id)
  await eventually(() => c.ended && c.closed, 5, 'a clean end')
  assert.strictEqual(c.error, null)
}

test('5.2: an open as the original\'s: number, gate port, protocol, fingerprint', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const c = client(after, gatePort, 'x')
  const { channel, body, text } = await wire.next(OPEN)
  assert.ok(channel >= 1)
  assert.deepStrictEqual([text.length, body.readUInt32BE(0), body[4]], [0, gatePort, 0])
  const fingerprint = JSON.parse(body.subarray(5))
  assert.deepStrictEqual([fingerprint.protocol, fingerprint.gatePort], ['tcp', gatePort])
  assert.deepStrictEqual([fingerprint.source.ip, fingerprint.source.port], ['127.0.0.1', c.socket.localPort])
  assert.match(fingerprint.id, /./)
  wire.send(OPEN, channel, openBody(gatePort, 0))
  await served(wire, after, gatePort)
})

test('3, 15.1: a gateway says hello once, in 79 bytes, and takes no other length', 30, async ({ after }) => {
  const gatePort = await freePort()
  for (const odd of [{ tail: Buffer.from('x') }, { blob: Buffer.alloc(72, 0x15) }]) {
    const wire = await wireTo('gateway', after)
    const hello = await wire.next(HELLO)
    assert.deepStrictEqual([hello.length, hello.channel, hello.body[0]], [79, 1, 0x15])
    wire.hello(PROVIDER, odd)
    wire.advertise({ routes: [{ serviceHost: 'a', protocol: 0, gatePort }] })
    await wire.gone()
    assert.ok(!wire.frames.some((f) => f.action === HELLO))
  }
  assert.strictEqual(await listens(gatePort), false)
})

test('8: a client that the policy of a route turns away is reset before its provider hears of it', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const say = (ingressPolicy) => wire.advertise({ routes: [{ serviceHost: '127.0.0.1', servicePort: 1, protocol: 0, gatePort, routes: [], ingressPolicy }] })
  const turnedAway = async () => {
    await eventually(async () => {
      const c = client(after, gatePort, 'x')
      await eventually(() => c.closed || wire.frames.some((f) => f.action === OPEN), 5, 'an answer')
      if (c.closed) return c.error === 'ECONNRESET' && c.bytes.length === 0
      wire.send(CLOSE, (await wire.next(OPEN)).channel)         // the old policy was still there
      return false
    }, 5, 'the new policy')
    assert.ok(!wire.frames.some((f) => f.action === OPEN))
  }
  say({ ips: { '127.0.0.0/8': { allow: false } } })
  await turnedAway()
  say({ ips: { '127.0.0.1': { allow: true, onlyPorts: [gatePort, gatePort], onlyProtocols: ['tcp'] } }, defaults: { allow: false } })
  await eventually(async () => {
    const c = client(after, gatePort)
    await eventually(() => c.closed || wire.frames.some((f) => f.action === OPEN), 5, 'an answer')
    if (c.closed) return false
    wire.send(CLOSE, (await wire.next(OPEN)).channel)
    return true
  }, 5, 'the new policy')
  say({ defaults: {} })                                         // a rule that does not say so lets nobody in
  await turnedAway()
  say({})
  await eventually(() => listens(gatePort), 5, 'gate ' + gatePort)
})

test('16: a gateway tolerates frames for nobody, twice, late and after the end', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  for (const action of [STREAM, END, CLOSE]) wire.send(action, 999999, action === STREAM ? Buffer.from('late') : undefined)
  wire.open(0, gatePort)                                        // a confirm for what no open can name
  wire.send(OPEN, 999999, undefined, 'an error for nobody')
  const c = client(after, gatePort, 'x')
  const id = await confirmed(wire, gatePort)
  wire.open(id, gatePort)                                       // confirmed again
  wire.send(STREAM, id)                                         // of no data
  wire.send(STREAM, id, Buffer.from('y'))
  wire.send(END, id)
  await eventually(() => c.ended, 5, 'the end')
  assert.strictEqual(c.bytes.toString(), 'y')
  for (const action of [END, STREAM, END]) wire.send(action, id, action === STREAM ? Buffer.from('late') : undefined)
  c.socket.end()
  await wire.next(END, id)
  await eventually(() => c.closed, 5, 'a clean end without a close of theirs')
  assert.deepStrictEqual([c.error, c.bytes.toString()], [null, 'y'])
  for (const action of [CLOSE, CLOSE, STREAM, END]) wire.send(action, id, action === STREAM ? Buffer.from('late') : undefined)
  await served(wire, after, gatePort)
})

test('16: channel numbers are used once, data comes in pieces of at most 60 KB', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const seen = new Set()
  for (let i = 0; i < 20; i++) {
    const c = client(after, gatePort, bytesOf('piece', 200 * KB))
    const id = await confirmed(wire, gatePort)
    assert.ok(!seen.has(id) && id >= 1)
    seen.add(id)
    await eventually(() => wire.frames.reduce((sum, f) => sum + (f.action === STREAM ? f.body.length : 0), 0) === 200 * KB, 5, 'all of it')
    assert.ok(wire.frames.every((f) => f.action !== STREAM || (f.channel === id && f.body.length <= 60 * KB)))
    await wire.received(id, 200 * KB)
    wire.send(CLOSE, id)
    await eventually(() => c.closed, 5, 'its end')
  }
})

test('15.1: a gateway is told things it does not know', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort, { hgx: { v: 1, f: ['order'], win: 1 }, more: [1, { 2: 3 }] })
  wire.advertise('null')
  wire.advertise('{"routes":')
  wire.advertise({ routes: 7 })
  wire.advertise({ routes: [null, 7, {}, { gatePort: 0 }, { gatePort: 70000 }, { gatePort: -1 }, { gatePort: 'x' },
    { gatePort, serviceHost: 'host', extra: true, protocol: 0 }] })
  wire.hello(PROVIDER)
  wire.send(0x33, 0, Buffer.from('who knows'))
  wire.raw(Buffer.from('000000075f010000000130', 'hex'))
  wire.raw(Buffer.from('0000000205ff', 'hex'))
  wire.stream.send(Buffer.from('unordered'))
  wire.open(77, gatePort)                                       // a confirm for nobody
  await wire.next(CLOSE, 77)
  await served(wire, after, gatePort)
  const c = client(after, gatePort, 'x')
  const id = await confirmed(wire, gatePort, '{"hgx":{"credit":1},"more":0}')
  wire.send(STREAM, id, Buffer.from('y'))
  await eventually(() => c.bytes.toString() === 'y', 5, 'the answer')
})

test('4: a port written as text and an entry without protocol open a gate', 30, async ({ after }) => {
  const [one, two] = [await freePort(), await freePort()]
  const wire = await asProvider(after, one)
  wire.advertise({ routes: [{ serviceHost: 'a', gatePort: String(two) }] })
  await eventually(() => listens(two), 5, 'its gate')
  await confirmed(wire, two)
  const c = client(after, two, 'x')
  const id = await confirmed(wire, two)
  wire.send(STREAM, id, Buffer.from('y'))
  await eventually(() => c.bytes.toString() === 'y', 5, 'the answer')
})

test('4: an advertisement of 250 KB, in one message as the original sends it, opens its gate, from the sixth peer as from the first', 30, async ({ after }) => {
  for (let i = 0; i < 6; i++) await asProvider(after, await freePort(), { more: 'x'.repeat(250 * KB) })
})

test('weakness 14.14: an error for channel 0 belongs to the oldest open without an answer', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const first = client(after, gatePort, 'first')
  const opens = [await wire.next(OPEN)]
  const second = client(after, gatePort, 'second')
  opens.push(await wire.next(OPEN))
  wire.send(OPEN, 0, undefined, 'Error: connect ECONNREFUSED 127.0.0.1:1')
  await eventually(() => first.closed, 5, 'the first is told')
  assert.deepStrictEqual([first.error, first.bytes.length], ['ECONNRESET', 0])
  wire.send(OPEN, opens[1].channel, openBody(gatePort, 0))
  assert.strictEqual((await wire.received(opens[1].channel, 6)).toString(), 'second')
  wire.send(STREAM, opens[1].channel, Buffer.from('answer'))
  await eventually(() => second.bytes.toString() === 'answer', 5, 'the second is served')
})

test('weakness 14.23: a client whose provider says no is served by another, whole', 30, async ({ after }) => {
  const gatePort = await freePort()
  const [no, yes] = [await asProvider(after, gatePort), await asProvider(after, gatePort)]
  const asked = () => [no, yes].flatMap((wire) => wire.frames).filter((f) => f.action === OPEN).length
  let known = false                                             // the second one's route
  for (let looks = 2; !known; looks = 1) {                      // who looked whether it listens has an answer too
    await eventually(() => asked() >= looks, 5, 'who looked comes')
    for (const wire of [no, yes]) {
      for (const f of wire.frames.splice(0)) {
        if (f.action !== OPEN) continue
        wire.send(OPEN, f.channel, openBody(gatePort, 0))
        known = known || wire === yes
      }
    }
    if (!known) await listens(gatePort)
  }
  const text = bytesOf('twice', 20 * KB)
  const clients = [client(after, gatePort, text), client(after, gatePort, text)]       // one for each, round robin
  const refuse = no.next(OPEN).then(() => no.send(OPEN, 0, undefined, 'Service not found ' + gatePort))
  for (let i = 0; i < 2; i++) {
    const id = await confirmed(yes, gatePort)
    assert.strictEqual(sha256(await yes.received(id, text.length)), sha256(text))
    yes.send(STREAM, id, Buffer.from('served'))
  }
  await refuse
  for (const c of clients) await eventually(() => c.bytes.toString() === 'served', 5, 'served')
  assert.ok(!no.frames.some((f) => f.action === STREAM), 'no byte went to who said no')
})

test('weakness 14.26: a provider that comes again is asked where it came last', 30, async ({ after }) => {
  const gatePort = await freePort()
  const keyPair = DHT.keyPair()
  const wires = []
  for (let i = 0; i < 3; i++) {
    const wire = await wireTo('gateway', after, keyPair)
    wire.hello(PROVIDER)
    wire.advertise({ routes: [{ serviceHost: 'a', protocol: 0, gatePort }] })
    wires.push(wire)
    if (i > 0) {
      await wires[i - 1].gone()
    } else {
      await eventually(() => listens(gatePort), 5, 'gate ' + gatePort)
      await confirmed(wire, gatePort)                           // who looked is gone
    }
    await served(wire, after, gatePort)
  }
})

test('5.2: what another peer says about a channel is not listened to', 30, async ({ after }) => {
  const gatePort = await freePort()
  const [wire, stranger] = [await asProvider(after, gatePort), await asProvider(after, await freePort())]
  const c = client(after, gatePort, 'x')
  const id = await confirmed(wire, gatePort)
  stranger.send(STREAM, id, Buffer.from('forged'))
  stranger.send(END, id)
  stranger.send(CLOSE, id)
  stranger.send(CLOSE, 0)
  await sleep(200)
  wire.send(STREAM, id, Buffer.from('true'))
  await eventually(() => c.bytes.toString() === 'true', 5, 'its own answer')
  assert.strictEqual(c.ended || c.closed, false)
})

test('6: a service that dies, a close of all, a provider that goes: the client sees a reset behind the data', 30, async ({ after }) => {
  const ways = [(wire, id) => wire.send(CLOSE, id), (wire) => wire.send(CLOSE, 0), (wire) => wire.close()]
  for (const way of ways) {
    const gatePort = await freePort()
    const wire = await asProvider(after, gatePort)
    const c = client(after, gatePort, 'x')
    const id = await confirmed(wire, gatePort)
    wire.send(STREAM, id, Buffer.from('so far'))
    await eventually(() => c.bytes.toString() === 'so far', 5, 'the first part')
    way(wire, id)
    await eventually(() => c.closed, 5, 'the reset')
    assert.deepStrictEqual([c.error, c.ended], ['ECONNRESET', false])
  }
})

test('weakness 14.17: a provider\'s end that overtakes its data does not cut it off', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const c = client(after, gatePort, 'x')
  const id = await confirmed(wire, gatePort)
  const bytes = bytesOf('overtaken', 500 * KB)
  wire.send(STREAM, id, bytes.subarray(0, 200 * KB))
  wire.send(END, id)
  wire.send(STREAM, id, bytes.subarray(200 * KB))
  await eventually(() => c.ended, 10, 'the end')
  assert.strictEqual(sha256(c.bytes), sha256(bytes))
})

test('weakness 14.20: half-close in both orders, with an upload of which the end is not lost', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const up = bytesOf('up', 700 * KB)
  const c = client(after, gatePort)
  c.socket.end(up)                                              // before the confirm: an original would forget it
  const id = await confirmed(wire, gatePort)
  assert.strictEqual(sha256(await wire.received(id, up.length)), sha256(up))
  await wire.next(END, id)
  wire.send(STREAM, id, Buffer.from('late answer'))
  wire.send(END, id)
  await eventually(() => c.ended, 5, 'the answer\'s end')
  assert.strictEqual(c.bytes.toString(), 'late answer')
  wire.send(CLOSE, id)

  const d = client(after, gatePort)
  const other = await confirmed(wire, gatePort)
  wire.send(END, other)                                         // the service has nothing to say
  await eventually(() => d.ended, 5, 'the end')
  d.socket.end('still sent')
  assert.strictEqual((await wire.received(other, 10)).toString(), 'still sent')
  await wire.next(END, other)
})

test('weakness 14.21: a client that is gone before the confirm leaves no channel behind', 30, async ({ after }) => {
  const gatePort = await freePort()
  const wire = await asProvider(after, gatePort)
  const c = client(after, gatePort, 'x')
  const { channel } = await wire.next(OPEN)
  c.socket.resetAndDestroy()
  await sleep(100)
  wire.send(OPEN, channel, openBody(gatePort, 0))
  await wire.next(CLOSE, channel)
  await served(wire, after, gatePort)
})

test('15.2: nothing of ours is more than an original reads past', 30, async ({ after }) => {
  const gatePort = await freePort()
  for (const wire of [await asProvider(after, gatePort), await asGateway(after)]) {
    await sleep(300)
    for (const f of wire.frames) {
      assert.ok(f.action <= END || f.action >= EXTENSION, 'action ' + f.action)
      if (f.action >= EXTENSION) assert.deepStrictEqual([f.text.toString(), f.action, f.channel], ['0', EXTENSION, 0])
    }
  }
})
