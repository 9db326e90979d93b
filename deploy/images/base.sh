# shellcheck shell=bash disable=SC2034 # read by deploy/stack/images.sh
# A slim Debian: dpkg and apt, no manuals, no documentation but the copyrights.
packages_base=
config_base=('CMD ["bash"]' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
