// SPDX-License-Identifier: BSD-3-Clause
// Dials that cross: a gateway of ours and providers of npm's Hyperswarm dial each other at the same moment (swarm.md 5, node_suitor.c).
'use strict'
const DHT = require('hyperdht')
const { assert, test, eventually, sleep } = require('./tap')
const { sha256, bytesOf, service, serveEcho, talk, freePort, listens } = require('./net-tools')
const { sharedTestnet } = require('./testnet')
const { newSecret, startInstance } = require('./hypergate')
const Provider = require('./double/provider')

const dht = sharedTestnet()

async function echoes (port, seed) {
  const bytes = bytesOf(seed, 100000)
  const { bytes: back, error } = await talk(port, bytes, { halfClose: false, expect: bytes.length })
  assert.strictEqual(error, null)
  assert.strictEqual(sha256(back), sha256(bytes))
}

// Seeds of keys that begin with 14 zeros, or ones: smaller, or larger, than ours.
const EXTREMES = { smaller: [65088, 77513, 79620, 81458], larger: [7284, 8735, 19125, 19603] }
const BUSY = [0, 100, 'dial', 'dial']           // ms, or until its own dial is open and has carried something, if it is ours who speaks too early
const SANE_MS = 900             // a dial that has had no answer for a second holds up nobody: node_suitor.c

function keyPairOf (number) {
  const seed = Buffer.alloc(32)
  seed.writeUInt32BE(number)
  return DHT.keyPair(seed)
}

// A provider of theirs that dials us at the moment when it hears that we dial it, and is @busy after that, before it looks at our handshake.
class Crossing {
  constructor (secret, bootstrap, gatePort, servicePort, number, order, busy) {
    this.provider = new Provider({ secret, bootstrap, keyPair: keyPairOf(number), quiet: true,
      services: [{ gatePort, servicePort, serviceHost: '127.0.0.1' }] })
    Object.assign(this, { gatePort, busy, name: `the ${order} key, busy: ${busy}`, order, crossed: 0,
      ups: new Set(), heardAt: 0, metMs: Infinity, lookedMs: Infinity })
    const { swarm } = this.provider
    const met = new Promise((resolve) => swarm.once('connection', () => { this.metMs = Date.now() - this.heardAt; resolve() }))
    const { firewall } = swarm.server
    swarm.server.firewall = async (key, ...others) => {
      if (!this.crossed++) {
        this.heardAt = Date.now()
        swarm.joinPeer(key)
        await (busy === 'dial' ? Promise.race([met.then(() => sleep(100)), sleep(SANE_MS)]) : sleep(busy))
        this.lookedMs = Date.now() - this.heardAt
      }
      return firewall(key, ...others)
    }
    this.timer = setInterval(() => this.look(), 20)
  }

  look () {
    for (const link of this.provider.ups()) this.ups.add(link)
  }

  get sane () { return this.crossed > 0 && Math.max(this.metMs, this.lookedMs) < SANE_MS }

  check (log) {
    const who = this.provider.swarm.keyPair.publicKey.toString('hex').slice(0, 8)
    const connected = log.split('\n').filter((line) => line.includes(`peer ${who}: reached`) || line.includes(`peer ${who}: came from`))
    assert.ok(this.provider.swarm.stats.connects.client.attempted > 0, `${this.name}: it has dialled, too`)
    assert.strictEqual(this.ups.size, 1, `${this.name}: connected once`)
    assert.strictEqual(this.provider.ups().length, 1, `${this.name}: it lasts`)
    assert.strictEqual(connected.length, 1, `${this.name}: ${connected}`)
  }

  close () {
    clearInterval(this.timer)
    return this.provider.close()
  }
}

// Whose dials cross is connected once, whichever of the keys is the smaller one and however late they look at our handshake; and that
// lasts. Who was so slow that another rule holds is not judged: false if too few are left.
async function crossings (secret, bootstrap, text) {
  const undo = []
  try {
    const echo = await service(serveEcho)
    undo.push(echo.close)
    const port = await freePort()               // ours says that it is open: they call it as soon as they have looked at its handshake
    const ours = startInstance({
      bootstrap: [text], host: '127.0.0.1', port, dht: { persistent: true, public: `127.0.0.1:${port}` }, gateway: { listen: '127.0.0.1' }
    }, secret)
    undo.push(() => ours.stop())
    await eventually(() => /announced on the DHT/.test(ours.log()), 20, 'ours can be found')
    const peers = []
    for (const [order, numbers] of Object.entries(EXTREMES)) {
      for (const [i, number] of numbers.entries()) peers.push(new Crossing(secret, bootstrap, await freePort(), echo.port, number, order, BUSY[i]))
    }
    undo.push(...peers.map((peer) => () => peer.close()))
    for (const { gatePort } of peers) await eventually(() => listens(gatePort), 30, `gate ${gatePort}`)
    await Promise.all(peers.map(({ gatePort }) => echoes(gatePort, 'first ' + gatePort)))
    await sleep(4000)          // where one was torn, which is a moment after it was there, it has come again by now
    const judged = peers.filter((peer) => peer.sane)
    for (const peer of peers) console.log(`# ${peer.name}: looked after ${peer.lookedMs} ms, met after ${peer.metMs}${peer.sane ? '' : ', not judged'}`)
    for (const peer of judged) peer.check(ours.log())
    await Promise.all(judged.map(({ gatePort }) => echoes(gatePort, 'last ' + gatePort)))
    return Object.keys(EXTREMES).every((order) => judged.some((peer) => peer.order === order && peer.busy === 'dial'))
  } finally {
    for (const one of undo.reverse()) await one()
  }
}

test('dials of theirs that cross with ours: one connection, which lasts', 150, async () => {
  const { bootstrap, text } = await dht()
  for (let left = 3; left > 0; left--) if (await crossings(newSecret(), bootstrap, text)) return
  assert.fail('too slow, three times')
})
