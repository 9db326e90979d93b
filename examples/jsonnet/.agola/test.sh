#!/bin/sh
test -s README.md
echo "all is well"
