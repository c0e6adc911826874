#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Our gateway, and a provider on the original's libraries.
HALF=provider . "$(dirname "$0")/npm.sh"
