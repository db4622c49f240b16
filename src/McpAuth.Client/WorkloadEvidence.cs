using System.Buffers;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client;

/// <summary>
/// How the server is told which program this is: by what the platform says of it, or by a key registered beforehand. It is asked for anew each time
/// the instance is attested or renewed, because platforms replace it; it is never kept, and its text never shows it.
/// </summary>
public abstract class WorkloadEvidence
{
    private static readonly SearchValues<char> TokenCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private protected WorkloadEvidence()
    {
    }

    /// <summary>The private key of the agent's own client, registered beforehand.</summary>
    /// <param name="client">By <see cref="ClientAuthentication.PrivateKeyJwt"/>; the server takes no other method as evidence.</param>
    public static WorkloadEvidence Client(ClientAuthentication client) => new RegisteredClient(client);

    /// <summary>A token that the platform keeps fresh in a file, such as a projected Kubernetes service account token. Read anew each time.</summary>
    public static WorkloadEvidence TokenFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new PlatformToken(async cancellationToken => await File.ReadAllTextAsync(path, cancellationToken));
    }

    /// <summary>
    /// A token that the platform gives when asked: GitHub Actions, Google Cloud, Azure, AWS, a SPIFFE agent (JWT-SVID), any OpenID issuer. Its audience
    /// is the server's issuer, alone, unless the issuer's record says otherwise.
    /// </summary>
    /// <param name="source">
    /// Gives the compact JWT. That the platform does not answer (<see cref="HttpRequestException"/>, <see cref="IOException"/>,
    /// <see cref="TimeoutException"/>) is tried again; what else it throws reaches the caller.
    /// </param>
    public static WorkloadEvidence Token(Func<CancellationToken, ValueTask<string>> source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new PlatformToken(source);
    }

    /// <summary>The word of a client attester for this program and its key (attestation-based client authentication); the proof is DPoP.</summary>
    /// <param name="source">Gives the attestation, a compact JWT, for the instance's public key; what it throws counts as for <see cref="Token"/>.</param>
    public static WorkloadEvidence ClientAttestation(Func<VerificationKey, CancellationToken, ValueTask<string>> source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new Attestation(source);
    }

    /// <summary>
    /// An X.509-SVID: the program comes over a connection of its own, which shows it. The instance's key is not the certificate's: certificates are replaced
    /// every few minutes, and the next one renews the same instance.
    /// </summary>
    /// <param name="source">Gives the certificate with its private key; it stays the caller's. What it throws counts as for <see cref="Token"/>.</param>
    /// <param name="endpoint">Where the server asks for certificates: what stands there in the issuer's place (https). Null = the issuer itself.</param>
    /// <param name="authorities">Those that may vouch for the server there; null = the system's.</param>
    public static WorkloadEvidence X509Svid(
        Func<CancellationToken, ValueTask<X509Certificate2>> source, Uri? endpoint = null, X509Certificate2Collection? authorities = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new Svid(source, endpoint, authorities);
    }

    /// <summary>How the agent authenticates as a client; null = with the key of the instance, as the client that the server names.</summary>
    internal virtual ClientAuthentication? Authentication => null;

    /// <summary>Gets it, and makes of it the request that attests.</summary>
    /// <param name="key">The instance's.</param>
    internal abstract Task<AttestationRequest> Request(ServerConnection server, SigningKey key, CancellationToken cancellationToken);

    // It may end in a header and in a log of the other side: nothing else than a token ever leaves this program.
    private static string Checked(string? text)
    {
        string token = text?.Trim() ?? "";
        if (token.Length == 0) throw new EvidenceException("there is none");
        if (token.Length > Limits.JwtLength) throw new EvidenceException($"it is longer than {Limits.JwtLength} characters");
        return !token.AsSpan().ContainsAnyExcept(TokenCharacters) && token.AsSpan().Count('.') == 2 ? token : throw new EvidenceException("it is not a signed token (compact JWT)");
    }

    private static Uri Address(ServerConnection server) => server.At(Names.Paths.Instances);

    private sealed class RegisteredClient(ClientAuthentication client) : WorkloadEvidence
    {
        internal override ClientAuthentication Authentication => client;

        internal override Task<AttestationRequest> Request(ServerConnection server, SigningKey key, CancellationToken cancellationToken) =>
            Task.FromResult(new AttestationRequest(new(HttpMethod.Post, Address(server)) { Client = client, Key = key }));
    }

    private sealed class PlatformToken(Func<CancellationToken, ValueTask<string>> source) : WorkloadEvidence
    {
        internal override async Task<AttestationRequest> Request(ServerConnection server, SigningKey key, CancellationToken cancellationToken)
        {
            string token = Checked(await source(cancellationToken).AsTask().WaitAsync(cancellationToken));
            return new(new(HttpMethod.Post, Address(server)) { Form = [new(Names.Assertions.Parameter, token)], Key = key });
        }
    }

    private sealed class Attestation(Func<VerificationKey, CancellationToken, ValueTask<string>> source) : WorkloadEvidence
    {
        internal override async Task<AttestationRequest> Request(ServerConnection server, SigningKey key, CancellationToken cancellationToken)
        {
            string token = Checked(await source(key.Public, cancellationToken).AsTask().WaitAsync(cancellationToken));
            return new(new(HttpMethod.Post, Address(server)) { Form = [], Key = key, Header = new(Names.ClientAttestation.Header, token) });
        }
    }

    private sealed class Svid : WorkloadEvidence
    {
        private readonly Func<CancellationToken, ValueTask<X509Certificate2>> source;
        private readonly Uri? endpoint;
        private readonly X509Certificate2Collection? authorities;

        public Svid(Func<CancellationToken, ValueTask<X509Certificate2>> source, Uri? endpoint, X509Certificate2Collection? authorities)
        {
            if (endpoint is not null && (!endpoint.IsAbsoluteUri || endpoint.Scheme != Uri.UriSchemeHttps))
                throw new ArgumentException("Certificates are shown over https.", nameof(endpoint));
            (this.source, this.endpoint, this.authorities) = (source, endpoint, authorities);
        }

        internal override async Task<AttestationRequest> Request(ServerConnection server, SigningKey key, CancellationToken cancellationToken)
        {
            X509Certificate2 certificate = await source(cancellationToken).AsTask().WaitAsync(cancellationToken);
            if (!certificate.HasPrivateKey) throw new EvidenceException("the certificate comes without its private key");
            Uri address = endpoint is null ? Address(server) : new Uri(endpoint.AbsoluteUri.TrimEnd('/') + Names.Paths.Instances);
            var connection = new HttpMessageInvoker(ServerAddress.Handler(address, certificate, authorities));
            return new(new(HttpMethod.Post, address) { Form = [], Key = key, Connection = connection }, connection);
        }
    }
}

/// <summary>The request that attests, and the connection that goes with it, if it has one of its own.</summary>
internal sealed class AttestationRequest(ServerRequest request, HttpMessageInvoker? connection = null) : IDisposable
{
    public ServerRequest Request => request;

    public void Dispose() => connection?.Dispose();
}
