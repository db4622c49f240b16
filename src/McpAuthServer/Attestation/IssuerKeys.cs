using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuthServer.Clients;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Registry;

namespace McpAuthServer.Attestation;

/// <summary>
/// The keys of those whose word is believed, of programs or of people: as registered, or as they publish them, fetched by the same careful fetcher as clients' documents. The last ones
/// that came are kept in the database: an issuer that is down for a while, or a restart, stops nobody whose token is good.
/// </summary>
internal sealed class IssuerKeys
{
    /// <summary>How long the last keys that came may be used while their issuer does not answer.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromHours(24);

    private const int MaxBytes = 256 * 1024;
    private const string Discovery = "/.well-known/openid-configuration", JwtSvid = "jwt-svid", X509Svid = "x509-svid";

    private readonly FetchOnce<KeyDocument> documents;
    private readonly IssuerKeyRows rows;
    private readonly FetchPolicy policy;
    private readonly DocumentFetcher fetcher;
    private readonly TimeProvider time;

    public IssuerKeys(DocumentFetcher fetcher, FetchPolicy policy, IssuerKeyRows rows, TimeProvider time)
    {
        (this.fetcher, this.policy, this.rows, this.time) = (fetcher, policy, rows, time);
        documents = new(LoadAsync, time);
    }

    /// <summary>The keys that the issuer's tokens are verified by; asked for again when <paramref name="keyId"/> is none of them: it may be new.</summary>
    public async Task<Result<IReadOnlyList<VerificationKey>>> FindAsync(KeySource issuer, string? keyId, CancellationToken cancel)
    {
        if (issuer.Keys is { } registered)
            return Result<IReadOnlyList<VerificationKey>>.Of(registered);
        if (!policy.ReadRegistered(issuer.Address ?? issuer.Issuer.TrimEnd('/') + Discovery).TryGet(out var url, out var fault))
            return fault;
        var fetched = await documents.GetAsync(url, isKnown: true).WaitAsync(cancel);
        if (fetched.TryGet(out var set, out fault) && keyId is not null && !Read(set.Value.Text, issuer.OfTrustDomain).Value.Any(key => key.KeyId is null || key.KeyId == keyId)
            && (await documents.GetAsync(url, isKnown: true, notBefore: time.GetUtcNow()).WaitAsync(cancel)).TryGet(out var newer, out _))
            set = newer;
        return await KeptAsync(issuer.Id, set, cancel) is { } text ? Read(text, issuer.OfTrustDomain) : fault!;
    }

    /// <summary>Whether one of the keys made the signature; a token that names its key is held to that name.</summary>
    public static bool Signed(StrictJwt token, IReadOnlyList<VerificationKey> keys) =>
        keys.Any(key => (token.KeyId is null || key.KeyId is null || token.KeyId == key.KeyId) && key.Verify(token));

    /// <summary>The authorities of a trust domain that publishes its bundle.</summary>
    public async Task<Result<X509Certificate2Collection>> FindAuthoritiesAsync(WorkloadIssuerRecord domain, CancellationToken cancel)
    {
        if (domain.KeySet is not { } address)
            return new Fault(FetchFaults.Malformed, "The trust domain's authorities are not known.");
        if (!policy.ReadRegistered(address).TryGet(out var url, out var fault))
            return fault;
        (await documents.GetAsync(url, isKnown: true).WaitAsync(cancel)).TryGet(out var set, out fault);
        return await KeptAsync(domain.Id, set, cancel) is { } text ? Authorities(text) : fault!;
    }

    /// <summary>What came, kept for worse days; or what was kept of the last ones, if nothing came and they are not too old.</summary>
    private async Task<string?> KeptAsync(string issuer, Fetched<KeyDocument>? came, CancellationToken cancel)
    {
        if (came is null)
            return await rows.LastAsync(issuer, time.GetUtcNow() - Longest, cancel);
        await rows.KeepAsync(issuer, came.Value.Text, came.At);
        return came.Value.Text;
    }

    /// <summary>SPIFFE Trust Domain and Bundle §4.2.2: each entry for certificates holds exactly one, an authority's.</summary>
    private static Result<X509Certificate2Collection> Authorities(string text)
    {
        var all = new X509Certificate2Collection();
        foreach (var entry in JsonElement.Parse(text).GetProperty("keys").EnumerateArray().Where(k => Text(k, "use") == X509Svid))
        {
            if (!entry.TryGetProperty("x5c", out var chain) || chain.ValueKind != JsonValueKind.Array || chain.GetArrayLength() != 1 || chain[0].ValueKind != JsonValueKind.String)
                return new Fault(FetchFaults.Malformed, "An authority of the trust domain does not read.");
            try
            {
                var certificate = X509CertificateLoader.LoadCertificate(chain[0].GetBytesFromBase64());
                if (CertificateChain.IsAuthority(certificate))
                    all.Add(certificate);
            }
            catch (Exception e) when (e is CryptographicException or FormatException)
            {
                return new Fault(FetchFaults.Malformed, "An authority of the trust domain does not read.");
            }
        }
        return all;
    }

    private async Task<Result<(KeyDocument, TimeSpan)>> LoadAsync(Uri url, bool isKnown)
    {
        if (!(await FetchAsync(url)).TryGet(out var fetched, out var fault))
            return fault;
        // OpenID Connect Discovery §4.3: the metadata must be of the issuer it was asked of, and its keys stand elsewhere.
        if (url.AbsolutePath.EndsWith(Discovery, StringComparison.Ordinal))
        {
            var issuer = url.AbsoluteUri[..^Discovery.Length];
            if (Text(fetched.Json, "issuer")?.TrimEnd('/') != issuer || Text(fetched.Json, Names.Registration.JwksUri) is not { } address)
                return new Fault(FetchFaults.Malformed, "The issuer's metadata is of somebody else, or names no keys.");
            if (!policy.ReadRegistered(address).TryGet(out var keys, out fault) || !(await FetchAsync(keys)).TryGet(out fetched, out fault))
                return fault;
        }
        var text = fetched.Json.GetRawText();
        return VerificationKey.FromJwks(fetched.Json).Ok
            ? (new KeyDocument(text), Hint(fetched.Json) ?? fetched.FreshFor)
            : new Fault(FetchFaults.Malformed, "These are no keys.");
    }

    private async Task<Result<(JsonElement Json, TimeSpan FreshFor)>> FetchAsync(Uri url)
    {
        if (!(await fetcher.FetchAsync(url, MaxBytes, isKnown: true)).TryGet(out var document, out var fault))
            return fault;
        return StrictJson.Parse(document.Body, new JsonLimits(MaxBytes)).TryGet(out var json, out fault) ? (json, document.FreshFor) : new Fault(FetchFaults.Malformed, fault.Message);
    }

    /// <summary>SPIFFE Trust Domain and Bundle §4.1.1: how often a trust domain's bundle is to be fetched.</summary>
    private static TimeSpan? Hint(JsonElement bundle) =>
        bundle.TryGetProperty("spiffe_refresh_hint", out var hint) && hint.ValueKind == JsonValueKind.Number && hint.TryGetInt64(out var seconds)
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, (long)Freshness.Least.TotalSeconds, (long)Freshness.Most.TotalSeconds))
            : null;

    /// <summary>Those for tokens: a trust domain's bundle also has its certificate authorities, and says which is which.</summary>
    private static Result<IReadOnlyList<VerificationKey>> Read(string text, bool ofTrustDomain)
    {
        if (!VerificationKey.FromJwks(JsonElement.Parse(text)).TryGet(out var keys, out var fault))
            return new Fault(FetchFaults.Malformed, fault.Message);
        return Result<IReadOnlyList<VerificationKey>>.Of([.. keys.Where(key => (Text(key.Jwk, "use") == JwtSvid) == ofTrustDomain)]);
    }

    private static string? Text(JsonElement json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private sealed record KeyDocument(string Text);
}
