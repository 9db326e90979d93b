# shellcheck shell=bash disable=SC2034 # read by deploy/stack/images.sh
# The Go compiler with what a clone needs. No C compiler, hence CGO_ENABLED=0. The tests of Go itself are left out.
packages_golang=golang-go,git,ca-certificates,openssh-client
exclude_golang='/usr/share/go-*/test/* /usr/lib/go-*/pkg/*_race/* /usr/lib/go-*/pkg/*/*/testdata/*'
config_golang=('CMD ["bash"]' 'ENV PATH=/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
	'ENV GOPATH=/go' 'ENV CGO_ENABLED=0' 'WORKDIR /go')
