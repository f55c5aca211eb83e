#!/bin/sh
# Makes tls/: an authority of its own, and a certificate with a SPIFFE ID for each gateway. To try things only: in
# earnest, SPIRE or another issuer renews them.
#
#     ./certificates.sh                                     # the authority, a and b
#     ./certificates.sh c spiffe://sidecar.example/c        # one more of the same authority
set -eu
umask 077
mkdir -p "$(dirname "$0")/tls"
cd "$(dirname "$0")/tls"

certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=sidecar" -keyout "$1.key" -out "$1.csr"
    # 127.0.0.1 is for curl; gateways look at the SPIFFE ID. One URI, or it is no SVID.
    printf '%s\n' "subjectAltName=URI:$2,IP:127.0.0.1" "basicConstraints=critical,CA:FALSE" \
        "keyUsage=critical,digitalSignature" "extendedKeyUsage=serverAuth,clientAuth" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem"
    rm "$1.csr" "$1.ext"
}

if [ $# -eq 2 ]; then
    certificate "$1" "$2"
    exit
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/O=sidecar authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
certificate a spiffe://sidecar.example/a
certificate b spiffe://sidecar.example/b
