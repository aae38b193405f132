//! Where the metrics are read: on an address of their own, so that no proxy shows them to the public by mistake.

use super::text;
use crate::{extract, state::State};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use std::{io, net::SocketAddr};

/// The running listener.
pub struct MetricsServer {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
}

/// Listens for `GET /metrics` until it is stopped.
pub fn serve(state: &State, address: SocketAddr) -> io::Result<MetricsServer> {
    let state = web::Data::new(state.clone());
    let server = HttpServer::new(move || App::new().app_data(state.clone()).route("/metrics", web::get().to(metrics)))
        .workers(1)
        .disable_signals()
        .bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}, for metrics: {error}")))?;
    let address = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(MetricsServer { address, handle })
}

impl MetricsServer {
    /// Ends it at once.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn metrics(request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text::of(extract::state(&request)))
}
