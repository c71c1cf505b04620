//! Asks a package's server about it, before a device does: size and entity tag,
//! by a HEAD.
//!
//! Nothing is downloaded and no redirect is followed. What the server says
//! holds for this machine; a device has another network, another clock and
//! other trusted certificates. The URI goes to its own server and nowhere else,
//! and no error holds it.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use reqwest::header::{HeaderName, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use crate::domain::clean;
use crate::domain::preflight::{PackageInfo, Validity};
use crate::domain::uri::PackageUri;

/// How long the server may take in all.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How servers of packages are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A PEM file with certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why nothing is known of a package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// No HTTPS client, or the CA file cannot be used.
    #[error("{0}")]
    Setup(String),
    /// DNS, refused, TLS.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// The server.
        host: String,
        /// Why.
        cause: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {} s", TIMEOUT.as_secs())]
    Slow {
        /// The server.
        host: String,
    },
}

/// Asks servers about packages. Making one touches neither network nor disk.
#[derive(Debug, Default)]
pub struct Inspector {
    settings: Settings,
    http: OnceCell<reqwest::Client>,
}

impl Inspector {
    /// An inspector with those settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: OnceCell::new(),
        }
    }

    /// What the server of `uri` tells about the package there.
    ///
    /// # Errors
    /// [`PackageError`] when it tells nothing. A refusal of the server is no
    /// error but an answer.
    pub async fn inspect(&self, uri: &PackageUri) -> Result<PackageInfo, PackageError> {
        let url = Url::parse(uri.expose()).map_err(|e| PackageError::Setup(e.to_string()))?;
        let http = self.http.get_or_try_init(|| self.build()).await?;
        let response = self.ask(http, Method::HEAD, &url).await?;
        // A signature over the method makes a HEAD say nothing about the GET.
        let refused = matches!(
            response.status(),
            StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
        );
        let bound = Validity::of(uri).is_some_and(|validity| validity.binds_method);
        let unknown = matches!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        );
        if unknown || (refused && bound) {
            let response = self.ask(http, Method::GET, &url).await?;
            return Ok(info(&response));
        }
        Ok(info(&response))
    }

    /// A GET asks for the first byte alone, and its body is not read.
    async fn ask(
        &self,
        http: &reqwest::Client,
        method: Method,
        url: &Url,
    ) -> Result<Response, PackageError> {
        let mut request = http.request(method.clone(), url.clone()).timeout(TIMEOUT);
        if method == Method::GET {
            request = request.header(RANGE, "bytes=0-0");
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        request.send().await.map_err(|error| {
            if error.is_timeout() {
                return PackageError::Slow { host };
            }
            // Without the URL, which may hold a signature.
            let cause = chain(&error.without_url());
            PackageError::Unreachable { host, cause }
        })
    }

    async fn build(&self) -> Result<reqwest::Client, PackageError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("otadeck/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if let Some(path) = &self.settings.ca_file {
            let shown = path.display();
            let pem = tokio::fs::read(path).await.map_err(|e| {
                PackageError::Setup(format!("cannot read the CA file {shown}: {e}"))
            })?;
            let bundle = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| {
                PackageError::Setup(format!("the CA file {shown} holds no PEM certificate"))
            })?;
            builder = builder.tls_certs_merge(bundle);
        }
        builder
            .build()
            .map_err(|e| PackageError::Setup(format!("no HTTPS client: {}", chain(&e))))
    }
}

fn info(response: &Response) -> PackageInfo {
    let text = |name: HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    // `bytes 0-0/4194304`
    let whole = |range: String| range.rsplit_once('/')?.1.parse().ok();
    let size = match response.status() {
        StatusCode::PARTIAL_CONTENT => text(CONTENT_RANGE).and_then(whole),
        _ => text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
    };
    let redirect = text(LOCATION).and_then(|to| {
        let to = response.url().join(&to).ok()?;
        Some(to.host_str()?.to_owned())
    });
    PackageInfo {
        status: response.status().as_u16(),
        size,
        etag: text(ETAG),
        modified: text(LAST_MODIFIED),
        redirect: redirect.filter(|_| response.status().is_redirection()),
        is_page: text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")),
    }
}

/// An error with its causes, innermost last.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = clean::cause(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = clean::cause(cause);
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// A server that gives one connection after the other its next answer;
    /// gives back the first lines and the ranges that it was asked.
    async fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    if asked.len() < 9 && (line.contains("HTTP/1.1") || line.contains("range")) {
                        asked.push(line.trim().to_owned());
                    }
                    line.clear();
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (format!("http://{address}"), task)
    }

    async fn inspect(uri: &str) -> Result<PackageInfo, PackageError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let uri = PackageUri::parse(uri).unwrap();
        Inspector::default().inspect(&uri).await
    }

    const FOUND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\nETag: \"7\"\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n";
    const FORBIDDEN: &str =
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_head_tells_size_and_tag() {
        let (host, task) = server(&[FOUND]).await;
        let info = inspect(&format!("{host}/fw.bin?x=1")).await.unwrap();
        let want = PackageInfo {
            status: 200,
            size: Some(4_194_304),
            etag: Some("\"7\"".into()),
            modified: Some("Thu, 01 Jan 2026 00:00:00 GMT".into()),
            ..PackageInfo::default()
        };
        assert_eq!(info, want);
        assert_eq!(task.await.unwrap(), ["HEAD /fw.bin?x=1 HTTP/1.1"]);
    }

    #[tokio::test]
    async fn a_signature_over_the_method_is_asked_by_one_byte() {
        let partial = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/52428800\r\n\
             Content-Length: 1\r\nConnection: close\r\n\r\nx";
        let answers = Box::leak(Box::new([FORBIDDEN, partial]));
        let (host, task) = server(answers).await;
        let uri =
            format!("{host}/a?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=s");
        let info = inspect(&uri).await.unwrap();
        assert_eq!((info.status, info.size), (206, Some(52_428_800)));
        let asked = task.await.unwrap();
        assert!(asked[0].starts_with("HEAD /a?"), "{asked:?}");
        assert!(asked[1].starts_with("GET /a?"), "{asked:?}");
        assert!(asked[2].ends_with("bytes=0-0"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_refusal_and_a_redirect_are_answers() {
        let (host, _task) = server(&[FORBIDDEN]).await;
        assert_eq!(inspect(&format!("{host}/a")).await.unwrap().status, 403);
        let moved = "HTTP/1.1 302 Found\r\nLocation: https://cdn.test/a?sig=SECRET\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n";
        let (host, _task) = server(Box::leak(Box::new([moved]))).await;
        let info = inspect(&format!("{host}/a")).await.unwrap();
        assert_eq!(info.redirect.as_deref(), Some("cdn.test"));
    }

    #[tokio::test]
    async fn no_error_holds_the_signature() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = inspect(&format!("http://{address}/a?sig=SECRET")).await;
        let error = error.unwrap_err();
        assert!(matches!(error, PackageError::Unreachable { .. }));
        assert!(
            !format!("{error} {error:?}").contains("SECRET"),
            "{error:?}"
        );
    }
}
