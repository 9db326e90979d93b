#!/usr/bin/env bash
# s3.sh - a throw-away S3 server for tests: radosgw over a Ceph of one monitor and one store in memory.
#
#   s3.sh start DIR [ADDRESS]   make and start it in DIR (which must not exist), with one empty bucket
#   s3.sh stop DIR              stop it and remove DIR
#   s3.sh pause DIR | resume DIR   the gateway alone is ended, and started again: what is stored stays
#   s3.sh keys DIR              the keys in the bucket, at most 1000
#   s3.sh with DIR CMD...       run CMD with what DIR/env holds
#   s3.sh run CMD...            start, with, stop
#
# DIR/env holds MILLRACE_TEST_S3 (its URL), MILLRACE_TEST_S3_BUCKET, _REGION, _ACCESS_KEY and _SECRET_KEY, and MILLRACE_TEST_S3_SCRIPT and
# _DIR for pause and resume. ADDRESS is where it listens, default 127.0.0.1. It takes about 13 s to start.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")
BUCKET=millrace-test
ACCESS_KEY=TESTACCESSKEY
SECRET_KEY=test/secret+key

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
}

# until SECONDS COMMAND...
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "s3.sh: waited too long for: $*" >&2
			return 1
		fi
		sleep 0.1
	done
}

write_conf() {
	local mon=$1 gateway=$2
	cat >"$R/ceph.conf" <<-C
		[global]
		fsid = $(cat /proc/sys/kernel/random/uuid)
		mon host = [v2:127.0.0.1:$mon,v1:127.0.0.1:$((mon + 1))]
		public addr = 127.0.0.1
		auth cluster required = cephx
		auth service required = cephx
		auth client required = cephx
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 1
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		osd objectstore = memstore
		memstore device bytes = 1073741824
		osd data = $R/osd
		mon data = $R/mon
		run dir = $R/run
		admin socket = $R/run/\$cluster-\$name.asok
		log file = $R/log/\$name.log
		pid file = $R/run/\$name.pid
		keyring = $R/keyring
		rgw data = $R/run
		rgw frontends = beast endpoint=$gateway tcp_nodelay=1
		rgw thread pool size = 32
	C
}

start_cluster() {
	local mon=$1 uuid
	export CEPH_ARGS="-c $R/ceph.conf"
	monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$R/ceph.conf")" \
		--addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$((mon + 1))]" "$R/monmap"
	ceph-authtool --create-keyring "$R/keyring" --gen-key -n mon. --cap mon 'allow *'
	ceph-authtool "$R/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
	ceph-mon -c "$R/ceph.conf" --mkfs -i a --monmap "$R/monmap" --keyring "$R/keyring"
	ceph-mon -c "$R/ceph.conf" -i a
	uuid=$(cat /proc/sys/kernel/random/uuid)
	ceph osd new "$uuid" 0
	ceph auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' mgr 'allow profile osd' >>"$R/keyring"
	ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
	ceph-osd -c "$R/ceph.conf" -i 0
	until_ok 30 sh -c 'ceph osd stat | grep -q " 1 up"'
	radosgw-admin user create --uid=test --display-name=test --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY"
	unset CEPH_ARGS
}

gateway_start() {
	setsid radosgw -f -c "$R/ceph.conf" -n client.admin --keyring "$R/keyring" >>"$R/log/radosgw.out" 2>&1 </dev/null &
	echo $! >"$R/run/radosgw-process"
	disown
	until_ok 60 curl -sS -m 2 -o /dev/null "$MILLRACE_TEST_S3/"
}

# end PIDFILE: TERM, then KILL. Nothing is worth an ordered stop.
end() {
	local pid end
	[ -s "$1" ] || return 0
	pid=$(cat "$1")
	rm -f "$1"
	# It may be that the number is somebody else's by now.
	grep -qa "$R/" "/proc/$pid/cmdline" 2>/dev/null || return 0
	kill -KILL "$pid" 2>/dev/null || return 0
	end=$((SECONDS + 10))
	while [ -d "/proc/$pid" ] && [ "$SECONDS" -lt "$end" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do
		sleep 0.05
	done
}

# s3 METHOD PATH: one signed request about the bucket.
s3() {
	curl -fsS -m 30 --aws-sigv4 "aws:amz:us-east-1:s3" --user "$ACCESS_KEY:$SECRET_KEY" \
		-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" -X "$1" "$MILLRACE_TEST_S3/$BUCKET$2"
}

start() {
	local address=${1:-127.0.0.1} mon gateway
	mkdir -p "$R"/{mon,osd,log,run}
	mon=$(free_port)
	gateway=$(free_port)
	cat >"$R/env" <<-E
		MILLRACE_TEST_S3=http://$address:$gateway
		MILLRACE_TEST_S3_BUCKET=$BUCKET
		MILLRACE_TEST_S3_REGION=us-east-1
		MILLRACE_TEST_S3_ACCESS_KEY=$ACCESS_KEY
		MILLRACE_TEST_S3_SECRET_KEY=$SECRET_KEY
		MILLRACE_TEST_S3_SCRIPT=$self
		MILLRACE_TEST_S3_DIR=$R
	E
	# shellcheck source=/dev/null
	. "$R/env"
	write_conf "$mon" "$address:$gateway"
	if ! { start_cluster "$mon" && gateway_start && s3 PUT ""; } >"$R/log/start" 2>&1; then
		tail -n 30 "$R/log/start" >&2
		echo "s3.sh: the S3 server did not start" >&2
		stop
		exit 1
	fi
}

stop() {
	end "$R/run/radosgw-process"
	end "$R/run/osd.0.pid"
	end "$R/run/mon.a.pid"
	rm -rf "$R"
}

run() {
	local base rc=0
	base=$(mktemp -d /tmp/millrace-s3.XXXXXX)
	# shellcheck disable=SC2064  # the directory of now is meant
	trap "'$self' stop '$base/s'; rm -rf '$base'" EXIT
	trap 'exit 130' INT TERM
	"$self" start "$base/s"
	"$self" with "$base/s" "$@" || rc=$?
	exit "$rc"
}

command=${1:?start, stop, pause, resume, keys, with or run}
shift
if [ "$command" != run ]; then
	R=$(realpath -m "${1:?a directory}")
fi
case $command in
start) start "${2:-}" ;;
stop) stop ;;
pause) end "$R/run/radosgw-process" ;;
resume)
	# shellcheck source=/dev/null
	. "$R/env"
	gateway_start
	;;
keys)
	# shellcheck source=/dev/null
	. "$R/env"
	s3 GET '?max-keys=1000' | grep -oE '<Key>[^<]*' | cut -c6-
	;;
with)
	shift
	set -a
	# shellcheck source=/dev/null
	. "$R/env"
	set +a
	exec "$@"
	;;
run) run "$@" ;;
*)
	echo "s3.sh: unknown command $command" >&2
	exit 2
	;;
esac
