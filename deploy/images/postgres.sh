# shellcheck shell=bash disable=SC2034 # read by deploy/stack/images.sh
packages_postgres=postgresql-15
config_postgres=('CMD ["bash"]' 'ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
