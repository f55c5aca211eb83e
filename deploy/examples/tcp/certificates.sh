#!/bin/sh
# Makes pki/: an authority of its own, the gateway's certificate, and one with a SPIFFE ID for the reports application. To
# try things only: in earnest, SPIRE or another issuer renews them.
#
#     ./certificates.sh                                # the authority, the gateway and reports
#     ./certificates.sh other spiffe://host.example/other
set -eu
umask 077
mkdir -p "$(dirname "$0")/pki"
cd "$(dirname "$0")/pki"

certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=host" -keyout "$1.key" -out "$1.csr"
    printf '%s\n' "subjectAltName=$2" "basicConstraints=critical,CA:FALSE" \
        "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth,clientAuth" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem"
    rm "$1.csr" "$1.ext"
}

if [ $# -eq 2 ]; then
    certificate "$1" "URI:$2"
    exit
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/O=host authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
certificate gateway "DNS:localhost,IP:127.0.0.1"
certificate reports "URI:spiffe://host.example/reports"
