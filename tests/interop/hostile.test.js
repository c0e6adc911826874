// SPDX-License-Identifier: BSD-3-Clause
// Peers that hold the secret and mean harm, at our processes: nothing dies, nothing grows without bound, others go on.
'use strict'
const fs = require('fs')
const nodeNet = require('net')
const path = require('path')
const Hyperswarm = require('hyperswarm')
const { assert, test, eventually, sleep } = require('./tap')
const { sha256, bytesOf, service, serveEcho, talk, freePort, listens } = require('./net-tools')
const { testnet, openNode } = require('./testnet')
const { memoryFactor, newSecret, startInstance } = require('./hypergate')
const { SECONDS, Changes, vectors } = require('./captures')
const { HELLO, OPEN, STREAM, CLOSE, ADVERT, END, TCP, router, frame, Link, either, openBody } = require('./double/protocol')
const { dial } = require('./double/wire')

const MB = 1024 * 1024
const GROWTH_MAX_KIB = 48 * 1024 * memoryFactor()

// A peer with the secret. attack(link) runs once on each connection that is authorised, answer(link, frame) on each frame.
class Rogue {
  constructor ({ secret, bootstrap, isGateway, attack = () => {}, answer }) {
    this.swarm = new Hyperswarm({ bootstrap })
    this.frames = []
    this.links = new Set()
    this.attacks = []
    this.swarm.on('connection', (stream) => this.links.add(new Link(stream, router(secret), isGateway, {
      onup: (link) => this.attacks.push({ link, over: (async () => attack(link))() }),
      onframe: (link, message) => {
        if (this.frames.length < 20000) this.frames.push(message)
        if (answer) answer(link, message)
      },
      onclose: (link) => this.links.delete(link)
    })))
    this.swarm.join(router(secret).topic)
  }

  // One attack has gone as it should. Of two crossing connections one may be cut, and with it the attack: the next one counts. (Hyperswarm
  // cuts its own when ours comes so late that its own is used already; ours has given way by then, which it finds out after 10 s.)
  async attacked () {
    for (let seen = 0; ;) {
      await eventually(() => this.attacks.length > seen, 25, 'the rogue is let in')
      const attacks = this.attacks.slice(seen)
      seen = this.attacks.length
      const results = await Promise.allSettled(attacks.map(({ over }) => over))
      const failed = results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason)
      const wrong = failed.find((error) => error.code === 'ERR_ASSERTION')
      if (wrong || (failed.length && !attacks.some(({ link }) => link.stream.destroyed))) throw wrong || failed[0]
      if (failed.length < attacks.length) return
    }
  }

  close () { return this.swarm.destroy() }
}

// The bytes as they are, in order, no faster than the peer takes them; false when it hangs up.
async function pour (link, chunks) {
  for (const bytes of chunks) {
    if (link.stream.destroyed) return false
    if (!link.stream.write(bytes)) await Promise.race([either(link.stream, 'drain', 'close'), sleep(3000)])
  }
  return true
}

function tree (pid) {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  return [pid, ...children.flatMap(tree)]
}

const pssKib = (pid) => Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1])
const memoryKib = (instance) => tree(instance.child.pid).reduce((sum, pid) => sum + pssKib(pid), 0)

// A provider and a gateway of ours with an echo between them, and how they are before anything happens to them.
async function scene (after) {
  const net = await testnet()
  after(() => net.close())
  const secret = newSecret()
  const echo = await service(serveEcho)
  after(echo.close)
  const gate = await freePort()
  const services = [{ gatePort: gate, servicePort: echo.port, serviceHost: '127.0.0.1', protocol: 'tcp' }]
  const provider = startInstance({ bootstrap: [net.text], provider: { services } }, secret)
  after(() => provider.stop())
  const gateway = startInstance({ bootstrap: [net.text], gateway: { listen: '127.0.0.1' } }, secret)
  after(() => gateway.stop())
  await eventually(() => listens(gate), 20, 'the gate')
  await echoes(gate, 'before')
  const instances = { provider, gateway }
  const before = {}
  for (const [name, instance] of Object.entries(instances)) {
    before[name] = { memory: memoryKib(instance), pids: tree(instance.child.pid), said: instance.log().length }
  }
  return { secret, bootstrap: net.bootstrap, gate, echo, instances, before }
}

async function echoes (port, seed) {
  const bytes = bytesOf(seed, MB)
  const { bytes: back, error } = await talk(port, bytes, { halfClose: false, expect: bytes.length })
  assert.strictEqual(error, null)
  assert.strictEqual(sha256(back), sha256(bytes))
}

// A channel that stays: .echoes() as above, again and again.
async function channel (after, port) {
  const socket = nodeNet.connect({ port, host: '127.0.0.1' })
  after(async () => socket.destroy())
  let broken = null
  socket.on('error', (error) => { broken = error }).on('close', () => { broken = broken || new Error('closed') })
  const chunks = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const got = () => chunks.reduce((sum, { length }) => sum + length, 0)
  return {
    close: () => socket.destroy(),
    echoes: async (seed) => {
      const bytes = bytesOf(seed, MB)
      socket.write(bytes)
      await eventually(() => broken || got() >= MB, 30, 'all of it comes back')
      assert.strictEqual(broken, null)
      assert.strictEqual(sha256(Buffer.concat(chunks.splice(0))), sha256(bytes))
    }
  }
}

// Others go on while @rogue attacks; afterwards all processes are there, not much larger, and have said little.
async function survives ({ gate, echo, instances, before }, rogue) {
  const attacked = rogue.attacked()
  let over = false
  attacked.then(() => { over = true }, () => { over = true })
  for (let i = 0; i < 3 || !over; i++) await echoes(gate, 'meanwhile ' + i)
  await attacked
  for (const [name, instance] of Object.entries(instances)) {
    const grown = memoryKib(instance) - before[name].memory
    const said = instance.log().slice(before[name].said)
    console.log(`# ${name}: ${before[name].memory} KiB, grown by ${grown}; ${said.length} characters said`)
    assert.ok(grown < GROWTH_MAX_KIB, `${name} grew by ${grown} KiB`)
    assert.ok(said.length < (rogue.sayMax || 64 * 1024), `${name} says ${said.length} characters`)
    const gone = before[name].pids.filter((pid) => !fs.existsSync(`/proc/${pid}`))
    assert.deepStrictEqual(gone, [], `${name}: processes died: ${said.slice(-2000)}`)
  }
  await rogue.close()
  await eventually(() => echo.connections() === 0, 20, 'no connection to the service is left behind')
  await echoes(gate, 'afterwards')
}

function atProvider (name, attack, seconds = 60) {
  test(`a gateway that holds the secret, at our provider: ${name}`, seconds, async ({ after }) => {
    const set = await scene(after)
    const rogue = new Rogue({ ...set, isGateway: true, attack: (link) => link.remoteIsGateway || attack(link, set, rogue) })
    after(() => rogue.close())
    await survives(set, rogue)
  })
}

function atGateway (name, attack, seconds = 60, answer) {
  test(`a provider that holds the secret, at our gateway: ${name}`, seconds, async ({ after }) => {
    const set = await scene(after)
    const rogue = new Rogue({ ...set, isGateway: false, attack: (link) => attack(link, set, rogue), answer })
    after(() => rogue.close())
    await survives(set, rogue)
  })
}

const opens = function * (count, gate, from = 1) { for (let id = from; id < from + count; id++) yield frame(OPEN, id, openBody(gate, TCP, {})) }

atProvider('10,000 opens, half of them for gates that do not exist', async (link, { gate }, rogue) => {
  await pour(link, opens(5000, gate))
  await pour(link, opens(5000, 1, 5001))
  await eventually(() => rogue.frames.length > 1000 || link.stream.destroyed, 20, 'answers')
})

atProvider('one id opened over and over, with data, ends and closes in between', async (link, { gate }) => {
  const kinds = [frame(OPEN, 7, openBody(gate, TCP, {})), frame(STREAM, 7, bytesOf('x', 1000)), frame(END, 7), frame(CLOSE, 7)]
  await pour(link, (function * () { for (let i = 0; i < 5000; i++) yield kinds[(i * i + (i >> 3)) % kinds.length] })())
  link.send(CLOSE, 7)
})

// A frame as long as they may be of each action, and then one that is longer.
async function pourMonsters (link, actions) {
  const body = Buffer.alloc(10 * MB - 6)
  for (const action of actions) {
    const bytes = frame(action, 3, body)
    await pour(link, (function * () { for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536) })())
  }
  const head = Buffer.alloc(10)
  head.writeUInt32BE(10 * MB + 1)
  await pour(link, [head])
  await eventually(() => link.stream.destroyed, 10, 'the connection is ended')
}

atProvider('frames of 10 MiB, of every action, and one that is longer', async (link, { gate }) => {
  await pourMonsters(link, [OPEN, STREAM, CLOSE, ADVERT, END, 0x40, 99])
})

atProvider('half a frame, then silence', async (link, { gate }) => {
  await pour(link, [...opens(10, gate), frame(STREAM, 1, bytesOf('half', 50000)).subarray(0, 25000)])
  await sleep(3000)
})

atProvider('silence after the hello, with channels open, and nothing read', async (link, { gate }, rogue) => {
  await pour(link, opens(100, gate))
  await eventually(() => rogue.frames.length >= 100 || link.stream.destroyed, 10, 'the channels are open')
  link.stream.pause()
  await sleep(3000)
  link.stream.resume()
})

atProvider('echoes that nobody reads', async (link, { gate }) => {
  await pour(link, opens(50, gate))
  link.stream.pause()
  const bytes = bytesOf('unread', 60000)
  await Promise.race([sleep(5000), pour(link, (function * () { for (let i = 0; i < 2000; i++) yield frame(STREAM, 1 + i % 50, bytes) })())])
  link.stream.resume()
})

const recorded = JSON.parse(fs.readFileSync(path.join(__dirname, '../vectors/hypergate-session.json'))).frames

// What an original in the role of @who said in that session, @rounds times, a few bytes of it changed, cut off or said twice; opens are
// for our @gate. Lengths stay true, for a wrong one would be the end. Goes on where it was when the connection has ended meanwhile.
function changed (who, gate, rounds) {
  let state = 1
  const below = (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * bound)
  }
  const said = recorded.filter(({ at, dir, action }) => dir === 'out' && at.startsWith(who) && action !== 'hello')
  assert.ok(said.length > 10, 'there is something to say')
  const frames = (function * () {
    for (let i = 0; i < rounds * said.length; i++) {
      let bytes = Buffer.from(said[i % said.length].frame_hex, 'hex')
      if (bytes[0] === OPEN && bytes.length >= 10) bytes.writeUInt32BE(gate, 6)
      for (let changes = below(4); changes > 0; changes--) bytes[below(below(8) ? bytes.length : 6)] ^= 1 << below(8)
      if (below(16) === 0) bytes = bytes.subarray(0, 6 + below(bytes.length - 5))
      const head = Buffer.alloc(4)
      head.writeUInt32BE(bytes.length)
      yield Buffer.concat(below(16) ? [head, bytes] : [head, bytes, head, bytes])
    }
  })()
  return { said: 0, next () { this.said++; return frames.next() }, [Symbol.iterator] () { return { next: () => this.next() } } }
}

atProvider('a recorded session with bytes changed, and noise', async (link, { gate }, rogue) => {
  rogue.session = rogue.session || changed('gateway', gate, 40)
  await pour(link, rogue.session)
  await pour(link, (function * () { for (let i = 0; i < 200; i++) yield bytesOf('noise' + i, 10000) })())
  await sleep(500)
})

const routes = (count, first) => ({
  routes: Array.from({ length: count }, (_, i) => ({ gatePort: first + i, servicePort: 1, serviceHost: '127.0.0.1', protocol: TCP,
    tags: 'x'.repeat(100), routes: [], ingressPolicy: {} }))
})
const advert = (what) => frame(ADVERT, 0, Buffer.from(typeof what === 'string' ? what : JSON.stringify(what)))

// How many of the ports [from, to) have a listener.
function listeners (from, to) {
  const rows = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1).map((row) => row.trim().split(/\s+/))
  return rows.filter(([, local, , state]) => state === '0A' && parseInt(local.split(':')[1], 16) >= from && parseInt(local.split(':')[1], 16) < to).length
}

atGateway('routes by the thousand, others each time: it holds its share of the gates and no more', async (link) => {
  for (let i = 0; i < 100; i++) await pour(link, [advert(routes(1000, 12000 + 200 * (i % 100)))])
  await eventually(() => listeners(12000, 32300) > 0, 20, 'gates of the rogue')
  for (let i = 0; i < 10; i++, await sleep(200)) assert.ok(listeners(12000, 32300) <= 256, `${listeners(12000, 32300)} gates are open`)
}, 90)

atGateway('ports it must not open', async (link) => {
  const last = await freePort()
  const mine = [11, 81, 444, 0, -1, 65536, 1e9, null, 1.5, String(last)]
  await pour(link, [advert({ routes: mine.map((gatePort) => ({ ...routes(1, 1).routes[0], gatePort })) })])
  await eventually(() => listens(last), 10, 'the last of them, which it may open')
  for (const port of [11, 81, 444]) assert.strictEqual(await listens(port), false, `gate ${port} is open`)
})

atGateway('advertisements that are not JSON, or too deep, or 10 MiB long', async (link) => {
  for (let i = 0; i < 200; i++) await pour(link, [advert('{"routes":['.repeat(i)), advert('[' .repeat(100000)), advert('\u0000{}'), advert('{"routes":null}')])
  for (let i = 0; i < 3; i++) await pour(link, [advert('{"routes":[' + ' '.repeat(10 * MB - 30) + ']}')])
  await sleep(1000)
})

atGateway('a recorded session with bytes changed, and answers to what nobody asked', async (link, { gate }, rogue) => {
  rogue.session = rogue.session || changed('provider', gate, 40)
  await pour(link, rogue.session)
  await pour(link, (function * () {
    for (let id = 0; id < 5000; id++) {
      yield frame(OPEN, id, openBody(gate, TCP, {}))
      yield frame(STREAM, id, bytesOf(id, 100))
      yield frame(OPEN, 0, undefined, 'no')
      yield frame(CLOSE, id)
    }
  })())
  await sleep(500)
})

atGateway('frames of 10 MiB, of every action, and one that is longer', async (link) => {
  await pourMonsters(link, [OPEN, STREAM, CLOSE, END, 99])
})

atGateway('half an advertisement, then silence', async (link) => {
  await pour(link, [advert(routes(200, 12000)).subarray(0, 20000)])
  await sleep(3000)
})

// Clients come to a gate of its own; each channel is accepted twice, answered after its end, closed twice and opened from here.
let busy = 0
const kinds = [OPEN, STREAM, OPEN, END, STREAM, END, CLOSE, STREAM, CLOSE, OPEN]
atGateway('channels accepted, ended and closed over and over, with data in between', async (link) => {
  busy = busy || await freePort()
  await pour(link, [advert(routes(1, busy))])
  await eventually(() => listens(busy), 20, 'the gate of the rogue')
  await Promise.all(Array.from({ length: 50 }, (_, i) => talk(busy, bytesOf('busy' + i, 1000))))
}, 60, (link, { action, channel }) => {
  if (action === OPEN) pour(link, kinds.map((kind) => frame(kind, channel, kind === STREAM ? bytesOf(channel, 500) : undefined)))
})

// --- What an original once said, changed ---

const CAPTURED_GATE = 28280             // the port in the recording; here it is one that is there

// @frame (without its length) for @gate, in a body of an open or an advertisement.
function forGate (bytes, gate) {
  const text = bytes.toString('latin1').replaceAll(String(CAPTURED_GATE), String(gate))
  const made = Buffer.from(text, 'latin1')
  if (made[0] === OPEN && made.length > 10 && made.readUInt32BE(6) === CAPTURED_GATE) made.writeUInt32BE(gate, 6)
  return made
}

// Its length is true but for one in three hundred; what comes after a wrong one is read as the peer likes.
function framed (bytes, changes) {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(changes.below(300) ? bytes.length : changes.one([0, 1, 5, bytes.length + 1, 70000, 0x00a00001, 0xffffffff]))
  return Buffer.concat([length, bytes])
}

// A peer that holds the secret says them in its role, on a new connection where the last was ended, until the time is up.
class Captured {
  constructor ({ secret, bootstrap, gate }, isGateway) {
    Object.assign(this, { isGateway, gate, router: router(secret), changes: new Changes(), node: openNode(bootstrap) })
    this.count = { connections: 0, frames: 0, back: 0 }
    const frames = vectors('hypergate-session.json').frames.filter((one) => one.frame_hex).map((one) => Buffer.from(one.frame_hex, 'hex'))
    this.frames = [...new Map(frames.map((bytes) => [bytes.toString('hex'), bytes])).values()].filter((bytes) => bytes.length > 6)
  }

  // Whoever of the other role is there.
  async targets () {
    const found = new Map()
    for await (const { peers } of this.node.lookup(this.router.topic)) for (const { publicKey } of peers) found.set(publicKey.toString('hex'), publicKey)
    const others = []
    for (const key of found.values()) {
      const wire = await dial(this.node, key, this.router).catch(() => null)
      if (!wire) continue
      wire.hello(this.isGateway)
      const hello = await wire.next(HELLO).catch(() => null)
      if (hello && Boolean(hello.channel) !== this.isGateway) others.push(key)
      wire.close()
    }
    return others
  }

  async attacked () {
    const [key] = await eventually(async () => { const all = await this.targets(); return all.length && all }, 20, 'somebody of the other role')
    for (const until = Date.now() + SECONDS * 1000; Date.now() < until;) await this.connection(key, until)
    assert.ok(this.count.frames > 50 * SECONDS && this.count.back > 10, JSON.stringify(this.count))
  }

  async connection (key, until) {
    const wire = await dial(this.node, key, this.router)
    const ids = [1, 2]          // of channels that are there
    this.count.connections++
    wire.hello(this.isGateway)
    await wire.next(HELLO)
    while (!wire.closed && Date.now() < until && this.changes.below(3000)) {
      wire.raw(this.frame(ids))
      this.count.frames++
      for (const { action, channel } of wire.frames.splice(0)) {
        this.count.back++
        if (action === OPEN) ids.splice(0, ids.length > 40 ? 1 : 0, channel)
      }
      if (this.count.frames % 50 === 0) await sleep(10)
      if (wire.stream.writableLength > MB) await Promise.race([either(wire.stream, 'drain', 'close'), sleep(3000)])
    }
    wire.close()
  }

  frame (ids) {
    const { changes } = this
    const captured = forGate(changes.one(this.frames), this.gate)
    const bytes = changes.below(3) ? changes.of(captured) : captured
    if (bytes.length >= 6 && changes.below(2)) bytes.writeUInt32BE(changes.one(ids), 2)
    return framed(bytes, changes)
  }

  async close () {
    console.log(`# ${this.count.connections} connections, ${this.count.frames} frames, ${this.count.back} came back`)
    await this.node.destroy()
  }
}

for (const [who, isGateway] of [['a gateway that holds the secret, at our provider', true], ['a provider that holds the secret, at our gateway', false]]) {
  test(`${who}: recorded frames, changed`, 60 + SECONDS, async ({ after }) => {
    const set = await scene(after)
    const steady = await channel(after, set.gate)
    const peer = new Captured({ ...set, gate: isGateway ? set.gate : await freePort() }, isGateway)
    await steady.echoes('before')
    await survives(set, {
      attacked: async () => { await peer.attacked(); await steady.echoes('afterwards'); steady.close() },
      close: () => peer.close(),
      get sayMax () { return 16 * 1024 + 8 * peer.count.frames }        // lines of connections and channels, none of frames
    })
  })
}
