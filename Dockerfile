# One image for each service: docker build --build-arg SERVICE=counter -t wordcount/counter .
# SERVICE is producer, counter or consumer-printer. Plain syntax: the classic builder takes it, too.
FROM golang:1.26-alpine AS build
ARG SERVICE
WORKDIR /src
ENV CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false

COPY internal/go.mod internal/go.sum internal/
COPY ${SERVICE}/go.mod ${SERVICE}/go.sum ${SERVICE}/
RUN cd ${SERVICE} && go mod download

COPY internal internal
COPY ${SERVICE} ${SERVICE}
ARG VERSION=dev
ARG REVISION=unknown
ARG TARGETOS
ARG TARGETARCH
RUN cd ${SERVICE} && GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH:-$(go env GOARCH)} go build -trimpath \
    -ldflags "-s -w -X wordcount/internal/service.Version=${VERSION} -X wordcount/internal/service.Revision=${REVISION}" \
    -o /out/service ./cmd/${SERVICE}

FROM gcr.io/distroless/static-debian12:nonroot
ARG SERVICE
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="wordcount ${SERVICE}" \
      org.opencontainers.image.description="Streaming word count on Kafka, exactly once: the ${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/service /service
COPY messages.txt /messages.txt
WORKDIR /
ENTRYPOINT ["/service"]
