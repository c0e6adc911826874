// SPDX-License-Identifier: BSD-3-Clause
// Our stack below the tunnel as a program: stackpeer.c.
'use strict'
const { spawn } = require('child_process')
const { eventually } = require('./tap')

// .events: what it said so far. @env: beside ours.
function stackpeer (after, net, args, env = {}) {
  const child = spawn(process.env.STACKPEER, [net.text, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env } })
  const events = []
  let rest = ''
  child.stdout.on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) events.push(JSON.parse(line))
  })
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(signal || code)))
  const stop = async () => {
    child.stdin.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), 8000)
    const how = await ended
    clearTimeout(timer)
    return how
  }
  after(stop)
  return { events, ended, stop, said: (event, seconds = 15) => eventually(() => events.find((e) => e.event === event), seconds, event) }
}

module.exports = { stackpeer }
