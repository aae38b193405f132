//! Asking a server whether it is ready, as health checks of containers do: no other program is needed for it.

use anyhow::{Context, bail};
use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Longer than a server that is well takes, shorter than who asks waits.
const PATIENCE: Duration = Duration::from_secs(4);
const STATUS_LINE_BYTES: u64 = 256;

#[derive(clap::Args)]
pub struct Args {
    /// Where the server is, as in `http://127.0.0.1:8080`; without a path `/readyz` is asked. By default the server on
    /// this machine, on the port of `PLENARY_BIND`.
    url: Option<String>,

    /// The address that the server was told to listen on.
    #[arg(long, env = "PLENARY_BIND", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    bind: SocketAddr,
}

/// Whether the server is ready; why not, if it isn't.
pub fn check(args: &Args) -> anyhow::Result<()> {
    let url = args.url.clone().unwrap_or_else(|| format!("http://{}", reachable(args.bind)));
    let Some(rest) = url.strip_prefix("http://") else { bail!("{url} doesn't begin with http://, the only way it can be asked") };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let path = if path.is_empty() { "readyz" } else { path };
    let status = ask(authority, path).with_context(|| format!("{url} doesn't answer"))?;
    if status != 200 {
        bail!("{url} is not ready: it answers {status}");
    }
    Ok(())
}

/// A server that listens everywhere is asked here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn ask(authority: &str, path: &str) -> anyhow::Result<u16> {
    let host_and_port = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut stream = connect(&host_and_port)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(std::io::Read::take(stream, STATUS_LINE_BYTES)).read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|line| line.split(' ').nth(1)).and_then(|status| status.trim().parse().ok());
    status.context("what it says is not HTTP")
}

/// The first address of the host that lets itself be reached.
fn connect(host_and_port: &str) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in host_and_port.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("{host_and_port} has no address"), Into::into))
}
