# One static binary and the certificates it needs to verify a server. Build it with:
#   docker build --build-arg VERSION="$(git describe --tags --always)" --build-arg COMMIT="$(git rev-parse HEAD)" -t tombstone .

FROM golang:1.26-bookworm AS build
WORKDIR /src

# The modules change less often than the code: this layer is built again only when go.mod does.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
# The parser is C code. Linked statically, with Go's own resolver and user lookup, the binary needs no libc at run time
# and so the image needs no distribution.
ENV CGO_ENABLED=1
RUN go build -trimpath -buildvcs=false -tags netgo,osusergo \
      -ldflags "-s -w -linkmode external -extldflags -static -X main.version=$VERSION -X main.commit=$COMMIT" \
      -o bin/tombstone ./cmd/tombstone

# Not distroless: its static image adds a shell-less user database, time zones and certificates, of which only the
# last are used here. An empty image has nothing in it that must be kept up to date except the binary.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/tombstone /tombstone

# A number, because Kubernetes' runAsNonRoot cannot look names up.
USER 65532:65532
EXPOSE 6432 9464

# There is no shell, so the program asks its own admin endpoint.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/tombstone", "health", "--admin", "127.0.0.1:9464"]

ENTRYPOINT ["/tombstone"]
CMD ["serve", "--config", "/etc/tombstone/tombstone.yaml"]
