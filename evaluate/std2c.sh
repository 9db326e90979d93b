#!/bin/sh
# std2c.sh FILE - the standard library's supplement as a C text.
set -eu
echo '#include "evaluate/scan.h"'
echo 'const char eval_std_libsonnet[] ='
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$1"
echo ';'
