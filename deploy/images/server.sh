# shellcheck shell=bash disable=SC2034 # read by deploy/stack/images.sh
# What the daemons need to run: their libraries, git for the gateway, curl for health checks.
packages_server=libpq5,libnng1,libcurl4,libevent-2.1-7,libevent-core-2.1-7,libevent-openssl-2.1-7,libjansson4,libsodium23,libzstd1,libssl3,libprotobuf-c1,libyaml-0-2,libre2-9,libjsonnet0,zlib1g,git,ca-certificates,curl
config_server=('CMD ["bash"]' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
