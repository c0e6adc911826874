// SPDX-License-Identifier: BSD-3-Clause
// Our processes with gateways and providers of the original's kind, on a DHT of JavaScript nodes.
'use strict'
const crypto = require('crypto')
const net = require('net')
const { once } = require('events')
const { assert, test, eventually, sleep } = require('./tap')
const { sha256, bytesOf, service, serveEcho, serveDigest, serveBytes, talk, freePort, listens } = require('./net-tools')
const { sharedTestnet, openNode, firewalledNode } = require('./testnet')
const { newSecret, startInstance } = require('./hypergate')
const { router } = require('./double/protocol')
const Gateway = require('./double/gateway')
const Provider = require('./double/provider')

const MB = 1024 * 1024
const nodes = { open: openNode, firewalled: firewalledNode }
const dht = sharedTestnet()

// Services of each kind, and their gate ports.
async function services (after) {
  const download = bytesOf('download', 3 * MB)
  const kinds = {
    echo: await service(serveEcho), digest: await service(serveDigest), download: await service(serveBytes(download))
  }
  const list = []
  const gate = {}
  for (const [kind, { port, close }] of Object.entries(kinds)) {
    after(close)
    gate[kind] = await freePort()
    list.push({ gatePort: gate[kind], servicePort: port, serviceHost: '127.0.0.1' })
  }
  gate.refused = await freePort()
  list.push({ gatePort: gate.refused, servicePort: await freePort(), serviceHost: '127.0.0.1' })
  return { list, gate, download, kinds }
}

const yaml = (list) => list.map((s) => ({ ...s, protocol: 'tcp' }))

async function ourProvider (after, secret, list) {
  const { text } = await dht()
  const provider = startInstance({ bootstrap: [text], provider: { services: yaml(list) } }, secret)
  after(() => provider.stop())
  return provider
}

async function ourGateway (after, secret) {
  const { text } = await dht()
  const gateway = startInstance({ bootstrap: [text], gateway: { listen: '127.0.0.1' } }, secret)
  after(() => gateway.stop())
  return gateway
}

async function theirNode (after, kind) {
  const { bootstrap } = await dht()
  const node = nodes[kind](bootstrap)
  after(() => node.destroy())
  return { node, bootstrap }
}

async function gatesOpen (gate, ours) {
  for (const [kind, port] of Object.entries(gate)) {
    await eventually(() => listens(port), 20, `gate ${port} (${kind})`).catch((error) => {
      throw new Error(error.message + '\n' + ours.log())
    })
  }
}

async function echoes (port, seed, length) {
  const bytes = bytesOf(seed, length)
  const { bytes: back, error } = await talk(port, bytes, { halfClose: false, expect: length })
  assert.strictEqual(error, null)
  assert.strictEqual(sha256(back), sha256(bytes))
}

async function manyConnections (port) {
  for (let i = 0; i < 200; i++) await echoes(port, 'one by one ' + i, 1000)
  await Promise.all(Array.from({ length: 50 }, (_, i) => echoes(port, 'at once ' + i, 100000)))
}

const hyperKeyPair = () => require('hyperdht').keyPair()
const hexOf = (key) => key.toString('hex')

// Doubles of one role find each other, too.
function onlyMet (double, keyPair) {
  for (const link of double.links) assert.ok(link.remoteKey.equals(keyPair.publicKey), 'it has seen no connection with ours')
}

test('allowPeers: peers of theirs are let in by their keys, and others are not answered', 60, async ({ after }) => {
  const secret = newSecret()
  const { list, gate } = await services(after)
  const { bootstrap, text } = await dht()
  const [named, other] = [hyperKeyPair(), hyperKeyPair()]
  const theirs = [named, other].map((keyPair) => new Provider({ secret, services: list, bootstrap, keyPair, advertiseMs: 300 }))
  for (const provider of theirs) after(() => provider.close())
  const gateway = startInstance({ bootstrap: [text], gateway: { listen: '127.0.0.1', allowPeers: [hexOf(named.publicKey)] } }, secret)
  after(() => gateway.stop())
  await gatesOpen({ echo: gate.echo }, gateway)
  await echoes(gate.echo, 'by the one that is named', 100000)
  await eventually(() => gateway.log().includes(`peer ${hexOf(other.publicKey)} at `), 20, 'the other one is told of')
  assert.strictEqual(theirs[0].ups().length, 1)
  assert.strictEqual(theirs[1].ups().length, 0)
  onlyMet(theirs[1], named)
})

test('allowPeers: gateways of theirs are let in by their keys, and others are not answered', 60, async ({ after }) => {
  const secret = newSecret()
  const { list, gate } = await services(after)
  const { bootstrap, text } = await dht()
  const [named, other] = [hyperKeyPair(), hyperKeyPair()]
  const provider = startInstance({ bootstrap: [text], provider: { services: yaml(list), allowPeers: hexOf(named.publicKey) } }, secret)
  after(() => provider.stop())
  const stranger = new Gateway({ secret, bootstrap, keyPair: other, halfOpen: true })
  after(() => stranger.close())
  await eventually(() => provider.log().includes(`peer ${hexOf(other.publicKey)} at `), 20, 'the other one is told of')
  const gateway = new Gateway({ secret, bootstrap, keyPair: named, halfOpen: true })
  after(() => gateway.close())
  await gatesOpen({ echo: gate.echo }, provider)
  await echoes(gate.echo, 'by the one that is named', 100000)
  onlyMet(stranger, named)
})

for (const kind of Object.keys(nodes)) {
  test(`our gateway, a provider of theirs (${kind} node)`, 90, async ({ after }) => {
    const secret = newSecret()
    const { list, gate, download, kinds } = await services(after)
    const { node, bootstrap } = await theirNode(after, kind)
    const provider = new Provider({ secret, services: list, bootstrap, dht: node, advertiseMs: 300 })
    after(() => provider.close())
    const ours = await ourGateway(after, secret)
    await gatesOpen(gate, ours)

    await echoes(gate.echo, 'both ways', 5 * MB)
    const upload = bytesOf('upload', 5 * MB)
    const answer = await talk(gate.digest, upload)        // the end must not overtake its data, whatever the other side does
    assert.strictEqual(answer.bytes.toString(), sha256(upload))
    assert.strictEqual(answer.error, null)
    const slice = await talk(gate.download, Buffer.from('x'))
    assert.ok(slice.bytes.length <= download.length && slice.bytes.equals(download.subarray(0, slice.bytes.length)))
    await manyConnections(gate.echo)
    await eventually(() => kinds.echo.connections() === 0, 10, 'no connection to the service is left behind')

    const began = Date.now()
    const refused = await talk(gate.refused, Buffer.from('hello'))
    assert.strictEqual(refused.error, 'ECONNRESET')
    assert.strictEqual(refused.bytes.length, 0)
    assert.ok(Date.now() - began < 10000, 'a refused service is told soon')
    const [fingerprint] = provider.opens
    assert.strictEqual(fingerprint.source.ip, '127.0.0.1')
    assert.strictEqual(fingerprint.protocol, 'tcp')
  })

  test(`our provider, a gateway of theirs (${kind} node)`, 90, async ({ after }) => {
    const secret = newSecret()
    const { list, gate, download, kinds } = await services(after)
    const { node, bootstrap } = await theirNode(after, kind)
    const ours = await ourProvider(after, secret, list)
    const gateway = new Gateway({ secret, bootstrap, dht: node, halfOpen: true })
    after(() => gateway.close())
    await gatesOpen(gate, ours)

    await echoes(gate.echo, 'both ways', 5 * MB)
    const small = bytesOf('upload', 1000)                   // a larger one would meet the original's own overtaking end
    const answer = await talk(gate.digest, small)
    assert.strictEqual(answer.bytes.toString(), sha256(small))
    const whole = await talk(gate.download, Buffer.from('x'), { halfClose: false, expect: Infinity })
    assert.strictEqual(sha256(whole.bytes), sha256(download), `${whole.bytes.length} of ${download.length} bytes`)
    await manyConnections(gate.echo)
    await eventually(() => kinds.echo.connections() === 0, 10, 'no connection to the service is left behind')
  })
}

// What theirs says of a client in the fingerprint of its open; they know nothing of sni, and take any service of the port.
test('a service of ours is told who the client of a gateway of theirs is', 60, async ({ after }) => {
  const secret = newSecret()
  const told = []
  let arrived = false
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let said = ''
    socket.on('data', (bytes) => {
      said += bytes.toString('latin1')
      arrived = arrived || said.endsWith('words')
    })
    socket.on('error', () => {})
    socket.on('end', () => { told.push(said); socket.end(said.slice(said.indexOf('\r\n') + 2)) })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => new Promise((resolve) => server.close(resolve)))
  const port = await freePort()
  const { node, bootstrap } = await theirNode(after, 'open')
  const ours = await ourProvider(after, secret, [{ gatePort: port, servicePort: server.address().port, serviceHost: '127.0.0.1',
    proxyProtocol: 'v1', sni: 'a.example' }])
  const gateway = new Gateway({ secret, bootstrap, dht: node, halfOpen: true })
  after(() => gateway.close())
  await gatesOpen({ web: port }, ours)

  const client = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.7', allowHalfOpen: true })
  const back = []
  client.on('data', (bytes) => back.push(bytes))
  await once(client, 'connect')
  const { localPort } = client
  client.write('words')
  await eventually(() => arrived, 20, 'it is through')   // an end before that would be forgotten by their gateway
  client.end()
  await once(client, 'end')
  assert.strictEqual(Buffer.concat(back).toString(), 'words')
  assert(told.includes(`PROXY TCP4 127.0.0.7 127.0.0.1 ${localPort} ${port}\r\nwords`), JSON.stringify(told))
})

// Theirs never hears of the new one.
test('while a secret is exchanged, theirs of either role are served by the old one', 90, async ({ after }) => {
  for (const role of ['provider', 'gateway']) {
    const old = newSecret()
    const both = `${newSecret()}\n${old} until 2099-12-31T23:59:59Z`
    const { port, close } = await service(serveEcho)
    after(close)
    const gate = await freePort()
    const list = [{ gatePort: gate, servicePort: port, serviceHost: '127.0.0.1' }]
    const { node, bootstrap } = await theirNode(after, 'open')
    const ours = await (role === 'provider' ? ourProvider(after, both, list) : ourGateway(after, both))
    const theirs = role === 'provider' ? new Gateway({ secret: old, bootstrap, dht: node, halfOpen: true })
      : new Provider({ secret: old, services: list, bootstrap, dht: node, advertiseMs: 300 })
    after(() => theirs.close())
    await gatesOpen({ echo: gate }, ours)
    await echoes(gate, 'by the old secret', MB)
  }
})

test('whoever knows the topic but not the secret learns no route and opens no gate', 90, async ({ after }) => {
  const secret = newSecret()
  const { topic } = router(secret)
  const impostor = () => ({ topic, authKey: crypto.randomBytes(64) })       // they don't trust each other either
  const { list, gate } = await services(after)
  const { bootstrap } = await dht()
  const provider = await ourProvider(after, secret, list)
  const evil = await freePort()
  const evilGateway = new Gateway({ secret: impostor(), bootstrap, refreshMs: 500 })
  after(() => evilGateway.close())
  const evilProvider = new Provider({ secret: impostor(), bootstrap, advertiseMs: 500, services: [{ gatePort: evil, servicePort: 1 }] })
  after(() => evilProvider.close())
  const sent = []
  const met = new Set()                                         // the two of ours, both of them met by both
  for (const [double, other] of [[evilGateway, evilProvider], [evilProvider, evilGateway]]) {
    double.swarm.on('connection', (stream) => {
      if (!stream.remotePublicKey.equals(other.swarm.keyPair.publicKey)) met.add(stream.publicKey.toString('hex') + stream.remotePublicKey.toString('hex'))
      stream.on('data', (bytes) => sent.push(bytes))
    })
  }

  const gateway = await ourGateway(after, secret)
  await gatesOpen({ echo: gate.echo }, gateway)
  await eventually(() => met.size === 4, 20, 'they have been connected to')
  await sleep(1000)
  assert.strictEqual(evilGateway.adverts.length, 0)
  assert.strictEqual(await listens(evil), false)
  for (const bytes of sent) assert.ok(!bytes.includes('gatePort'), 'a route was sent to a stranger')
  assert.strictEqual(evilGateway.ups().length + evilProvider.ups().length, 0)
  await echoes(gate.echo, 'still there', 100000)
  assert.ok(provider.running() && gateway.running())
})

test('ours on both sides, found through their DHT', 60, async ({ after }) => {
  const secret = newSecret()
  const { list, gate, download } = await services(after)
  await ourProvider(after, secret, list)
  const gateway = await ourGateway(after, secret)
  await gatesOpen(gate, gateway)
  await echoes(gate.echo, 'both ways', 5 * MB)
  const whole = await talk(gate.download, Buffer.from('x'))
  assert.strictEqual(sha256(whole.bytes), sha256(download))
  assert.strictEqual(whole.error, null)
  const refused = await talk(gate.refused, Buffer.from('hello'))
  assert.strictEqual(refused.error, 'ECONNRESET')
})
