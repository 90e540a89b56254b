# One image for each service: docker build --build-arg SERVICE=counter -t wordcount/counter .
# SERVICE is producer, counter or consumer-printer. Plain syntax: the classic builder takes it, too. The three are built in one
# stage that does not depend on SERVICE, so the second and third image find it in the cache.
FROM golang:1.26-alpine AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false

COPY internal/go.mod internal/go.sum internal/
COPY producer/go.mod producer/go.sum producer/
COPY counter/go.mod counter/go.sum counter/
COPY consumer-printer/go.mod consumer-printer/go.sum consumer-printer/
RUN for service in producer counter consumer-printer; do (cd $service && go mod download) || exit 1; done

COPY internal internal
COPY producer producer
COPY counter counter
COPY consumer-printer consumer-printer
ARG VERSION=dev
ARG REVISION=unknown
ARG TARGETOS
ARG TARGETARCH
RUN for service in producer counter consumer-printer; do \
      (cd $service && GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH:-$(go env GOARCH)} go build -trimpath \
        -ldflags "-s -w -X wordcount/internal/service.Version=${VERSION} -X wordcount/internal/service.Revision=${REVISION}" \
        -o /out/$service ./cmd/$service) || exit 1; \
    done

FROM gcr.io/distroless/static-debian12:nonroot
ARG SERVICE
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="wordcount ${SERVICE}" \
      org.opencontainers.image.description="Streaming word count on Kafka, exactly once: the ${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/${SERVICE} /service
COPY messages.txt /messages.txt
WORKDIR /
ENTRYPOINT ["/service"]
