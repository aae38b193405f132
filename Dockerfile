# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /plenary
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/plenary/target \
    cargo build --release --locked --bin plenary && cp target/release/plenary /usr/local/bin/plenary

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/plenary plenary
COPY --from=build /usr/local/bin/plenary /usr/local/bin/plenary
USER plenary
WORKDIR /var/lib/plenary
VOLUME /var/lib/plenary
ENV DATABASE_URL=sqlite:/var/lib/plenary/plenary.db PLENARY_BIND=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["plenary", "health"]
# SIGTERM drains: requests under way get their answers.
STOPSIGNAL SIGTERM
ENTRYPOINT ["plenary"]
CMD ["serve"]
