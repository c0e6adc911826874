// SPDX-License-Identifier: BSD-3-Clause
// Starts the installed hypergate for a test, keeps what it says, and stops it.
'use strict'
const { spawn, execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { condemn, witness } = require('./tap')

// What a worker of a sanitized build says before it ends, what a filter trapped, what an assertion found.
const REPORT = /Sanitizer|runtime error:|Assertion .* failed|system call it may not make|broke the rules/

function binary () {
  const file = process.env.HYPERGATE_BIN
  if (!file) throw new Error('HYPERGATE_BIN must name the installed hypergate: run these tests by tests/run.sh interop')
  return file
}

// By how much more a process may grow: the sanitizers' runtime keeps some of what was freed, in each of up to 64 processes.
const memoryFactor = () => fs.readFileSync(binary()).includes('__asan_init') ? 8 : 1

const newSecret = () => execFileSync(binary(), ['new'], { encoding: 'utf8' }).trim()

// Runs hypergate with @args. .log(): all it said so far; .stop(): SIGTERM, resolves to { code, signal }. Whoever still runs then
// must end in order and soon.
function start (args, env = {}) {
  const child = spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let said = ''
  child.stdout.on('data', (chunk) => { said += chunk })
  child.stderr.on('data', (chunk) => { said += chunk })
  const ended = new Promise((resolve) => child.on('close', (code, signal) => {
    if (REPORT.test(said)) condemn(said)
    resolve({ code, signal })
  }))
  const running = () => child.exitCode === null && child.signalCode === null
  const dismiss = witness(() => `hypergate ${args.join(' ')}: ${running() ? 'runs' : `ended with ${child.exitCode ?? child.signalCode}`}\n` +
    said.trimEnd().split('\n').slice(-40).join('\n'))
  return {
    child,
    ended,
    log: () => said,
    running,
    stop: async () => {
      const ran = running()
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10000)
      const how = await ended
      clearTimeout(timer)
      dismiss()
      if (ran && how.code !== 0) condemn(`the stop of hypergate ${args.join(' ')} ended with ${how.code ?? how.signal}\n` + said)
      return how
    }
  }
}

// Runs an instance from @config (JSON is YAML) with @secret in a file of its own.
function startInstance (config, secret) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'hypergate-interop-'))
  fs.writeFileSync(path.join(folder, 'router.key'), secret + '\n', { mode: 0o600 })
  fs.writeFileSync(path.join(folder, 'instance.yaml'), JSON.stringify({ secretFile: path.join(folder, 'router.key'), ...config }))
  const instance = start(['run', path.join(folder, 'instance.yaml')])
  const stop = instance.stop
  instance.stop = async () => {
    const how = await stop()
    fs.rmSync(folder, { recursive: true, force: true })
    return how
  }
  return instance
}

module.exports = { memoryFactor, newSecret, start, startInstance }
