module podnet.cni/tests/tools/network-policy-api-0.1

go 1.26.0

require sigs.k8s.io/network-policy-api v0.1.7
