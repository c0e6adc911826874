// SPDX-License-Identifier: BSD-3-Clause
// Starts the installed hypergate for a test, keeps what it says, and stops it.
'use strict'
const { spawn, execFileSync } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { condemn } = require('./tap')

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

// Runs hypergate with @args. .log(): all it said so far; .stop(): SIGTERM, resolves to { code, signal }.
function start (args, env = {}) {
  const child = spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let said = ''
  child.stdout.on('data', (chunk) => { said += chunk })
  child.stderr.on('data', (chunk) => { said += chunk })
  const ended = new Promise((resolve) => child.on('close', (code, signal) => {
    if (REPORT.test(said)) condemn(said)
    resolve({ code, signal })
  }))
  return {
    child,
    ended,
    log: () => said,
    running: () => child.exitCode === null && child.signalCode === null,
    stop: async () => {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10000)
      const how = await ended
      clearTimeout(timer)
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
