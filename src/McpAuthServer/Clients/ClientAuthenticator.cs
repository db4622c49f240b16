using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Jose;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Clients;

/// <summary>
/// Client authentication (RFC 6749 §2.3, OAuth 2.1 §2.4, RFC 7523, RFC 8705 §2): one method per client, and exactly that one. It decides from what is
/// registered alone; the assertion's <c>jti</c> is returned to be consumed in the same transaction as whatever the request does.
/// </summary>
internal sealed class ClientAuthenticator(Issuer issuer, ClientDirectory clients, GuardDirectory guards, InstanceKeys instances, CertificateAuthentication certificates, TimeProvider time)
{
    /// <summary>The two drafts that want a type of its own (rfc7523bis, client ID metadata documents) do not call it the same.</summary>
    private static readonly JwtRules AssertionRules = new(
        "client assertion", [Names.Types.ClientAuthentication, Names.Types.ClientAuth, Names.Types.Jwt], TypeRequired: false, ["ES256", "RS256"]);

    /// <param name="anew">Whether something begins here that is judged by what the client says of itself now.</param>
    /// <param name="certificate">What the request came with, if anything: a credential for whoever is registered for it, and nothing of the kind for others.</param>
    public async Task<(AuthenticatedClient? Client, ClientRefusal? Refusal)> AuthenticateAsync(
        StrictForm form, IReadOnlyList<string?> authorization, ClientCertificate? certificate, RegistrySnapshot registry, CancellationToken cancel, bool anew = false)
    {
        var (client, refusal) = await IdentifyAsync(form, authorization, certificate, registry, anew, cancel);
        return (client is null ? null : client with { Certificate = certificate }, refusal);
    }

    private async Task<(AuthenticatedClient? Client, ClientRefusal? Refusal)> IdentifyAsync(
        StrictForm form, IReadOnlyList<string?> authorization, ClientCertificate? certificate, RegistrySnapshot registry, bool anew, CancellationToken cancel)
    {
        var usedBasic = authorization.Count > 0;
        ClientRefusal Refuse(string? id, string message, string reason) => new(id, message, usedBasic, reason);

        // 1. Exactly one method (RFC 6749 §2.3).
        var hasAssertion = form[Names.ClientAssertion.Parameter] is not null || form[Names.ClientAssertion.TypeParameter] is not null;
        var hasSecret = form[Names.OAuth.ClientSecret] is not null;
        if ((usedBasic ? 1 : 0) + (hasAssertion ? 1 : 0) + (hasSecret ? 1 : 0) > 1)
            return (null, Refuse(form[Names.OAuth.ClientId], "More than one client authentication method was used.", "two_methods"));

        // 2. Whom the request claims to come from.
        if (usedBasic)
        {
            if (ParseBasic(authorization) is not { } basic)
                return (null, Refuse(null, "The Authorization header is not one well-formed Basic credential.", Names.Reasons.Malformed));
            if (form[Names.OAuth.ClientId] is { } also && also != basic.Id)
                return (null, Refuse(basic.Id, "client_id differs from the authenticated client.", "client_mismatch"));
            return Secret(await clients.KnownAsync(basic.Id, registry, cancel), basic.Id, basic.Secret, Names.ClientAssertion.SecretBasic, Refuse);
        }
        if (hasSecret)
        {
            var named = form[Names.OAuth.ClientId];
            return Secret(named is null ? null : await clients.KnownAsync(named, registry, cancel), named, form[Names.OAuth.ClientSecret]!, Names.ClientAssertion.SecretPost, Refuse);
        }
        if (hasAssertion)
            return await AssertionAsync(form, registry, Refuse, cancel);

        // 3. No credential in the request: only a public client may, and one whose certificate is the credential (RFC 8705 §2: it names itself).
        if (form[Names.OAuth.ClientId] is not { } id)
            return (null, Refuse(null, "The client is unknown.", ClientDirectory.UnknownClient));
        var found = await (anew ? clients.ResolveAsync(id, registry, cancel) : clients.AtHandAsync(id, registry, cancel));
        if (!found.TryGet(out var client, out var unknown) || !client.Active)
            return (null, Refuse(id, "The client is unknown.", unknown?.Code ?? ClientDirectory.UnknownClient));
        if (client.AuthMethod is Names.Mtls.TlsClientAuth or Names.Mtls.SelfSignedTlsClientAuth)
            return certificates.Refuse(client, certificate) is var (message, reason)
                ? (null, Refuse(id, message, reason))
                : (new AuthenticatedClient(id, client.AuthMethod, null) { Client = client }, null);
        return client.Public
            ? (new AuthenticatedClient(id, Names.ClientAssertion.None, null) { Client = client }, null)
            : (null, Refuse(id, "The client must authenticate.", "no_credential"));
    }

    private static (AuthenticatedClient?, ClientRefusal?) Secret(
        ClientRecord? client, string? id, string secret, string method, Func<string?, string, string, ClientRefusal> refuse)
    {
        // A digest is compared also for an unknown client, so that both take the same time. Server-made secrets carry 256 bits: one SHA-256 is enough.
        var right = CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(client?.SecretHash ?? new string('-', 43)), Encoding.ASCII.GetBytes(Base64Url.Sha256(secret)));
        if (client is not { Active: true })
            return (null, refuse(id, "The client is unknown or its secret is wrong.", ClientDirectory.UnknownClient));
        if (client.AuthMethod != method)
            return (null, refuse(id, "The client is registered for another authentication method.", "wrong_method"));
        return right
            ? (new AuthenticatedClient(client.Id, method, null) { Client = client }, null)
            : (null, refuse(id, "The client is unknown or its secret is wrong.", "bad_secret"));
    }

    private async Task<(AuthenticatedClient?, ClientRefusal?)> AssertionAsync(
        StrictForm form, RegistrySnapshot registry, Func<string?, string, string, ClientRefusal> refuse, CancellationToken cancel)
    {
        if (form[Names.ClientAssertion.TypeParameter] != Names.ClientAssertion.JwtBearer || form[Names.ClientAssertion.Parameter] is not { } text)
            return (null, refuse(null, $"{Names.ClientAssertion.TypeParameter} must be {Names.ClientAssertion.JwtBearer}, beside one assertion.", Names.Reasons.Malformed));
        if (!StrictJwt.Read(text, AssertionRules).TryGet(out var jwt, out var fault))
            return (null, refuse(form[Names.OAuth.ClientId], $"The client assertion was refused: {fault.Message}", fault.Code));

        // RFC 7523 §3: iss and sub are the client, and the optional client_id parameter is the same one.
        var id = jwt.Text(Names.Claims.Iss);
        if (id is null || jwt.Text(Names.Claims.Sub) != id || (form[Names.OAuth.ClientId] is { } also && also != id))
            return (null, refuse(id, "iss, sub and client_id must be the same client.", "client_mismatch"));

        // A document is looked at anew when it is due: the keys in it are what the client is told by.
        var client = (await clients.ResolveAsync(id, registry, cancel)).TryGet(out var found, out var unknown) ? found : null;
        var guard = client is null && id.StartsWith(Id.Guard, StringComparison.Ordinal) ? await guards.Find(id, cancel) : null;
        if (client is not { Active: true } && guard is not { Active: true })
            return (null, refuse(id, "The client is unknown.", unknown?.Code ?? ClientDirectory.UnknownClient));
        var byInstance = client is { AuthMethod: Names.ClientAssertion.InstanceKey, AgentId: not null };
        if (client is not null && client.AuthMethod != Names.ClientAssertion.PrivateKeyJwt && !byInstance)
            return (null, refuse(id, "The client is registered for another authentication method.", "wrong_method"));
        IReadOnlyList<VerificationKey> keys = [];
        if (guard is not null)
            keys = [guard.Key];
        else if (byInstance)
            keys = jwt.KeyId is { } thumbprint && await instances.FindAsync(thumbprint, client!.AgentId!, id, time.GetUtcNow(), cancel) is { } own ? [own] : [];
        else if (!(await clients.KeysAsync(client!, jwt.KeyId, cancel)).TryGet(out keys!, out fault))
            return (null, refuse(id, "The client's keys cannot be had.", fault.Code));
        if (!Verify(jwt, keys, byInstance))
            return (null, refuse(id, "The client assertion's signature is wrong or its key is not registered.", Names.Reasons.BadSignature));

        // rfc7523bis: the issuer alone is the audience; what else RFC 9126 §2 takes for it only where the client's record says so.
        var legacy = client is { LegacyAudience: true };
        if (jwt.Audiences is not [var audience] || (audience != issuer.Value && !(legacy && issuer.LegacyAudiences.Contains(audience))))
            return (null, refuse(id, "aud must be the issuer, alone.", "wrong_audience"));

        var now = time.GetUtcNow();
        if (jwt.Time(Names.Claims.Exp) is not { } expires || expires + Limits.ClockSkew <= now)
            return (null, refuse(id, "The client assertion has no exp or is expired.", Names.Reasons.Expired));
        if (expires > now + Limits.ClientAssertion + Limits.ClockSkew)
            return (null, refuse(id, "exp is more than 5 minutes ahead.", "exp_too_far"));
        if ((jwt.Payload.TryGetProperty(Names.Claims.Nbf, out _) && !(jwt.Time(Names.Claims.Nbf) <= now + Limits.ClockSkew))
            || (jwt.Payload.TryGetProperty(Names.Claims.Iat, out _) && !(jwt.Time(Names.Claims.Iat) <= now + Limits.ClockSkew)))
            return (null, refuse(id, "nbf or iat lies in the future.", "not_yet_valid"));
        if (jwt.Text(Names.Claims.Jti) is not { Length: > 0 and <= 512 } jti)
            return (null, refuse(id, "jti is missing or too long.", Names.Reasons.Malformed));

        return (new AuthenticatedClient(id, byInstance ? Names.ClientAssertion.InstanceKey : Names.ClientAssertion.PrivateKeyJwt, Once.Assertion(id, jti, expires)) { Client = client, Guard = guard }, null);
    }

    /// <param name="found">Whether the keys were found by the assertion's <c>kid</c>, which then is their thumbprint.</param>
    private static bool Verify(StrictJwt jwt, IReadOnlyList<VerificationKey> keys, bool found)
    {
        foreach (var key in keys)
            if ((found || jwt.KeyId is null || key.KeyId is null || jwt.KeyId == key.KeyId) && key.Verify(jwt))
                return true;
        return false;
    }

    // RFC 6749 §2.3.1: both parts are form-urlencoded before base64.
    private static (string Id, string Secret)? ParseBasic(IReadOnlyList<string?> authorization)
    {
        if (authorization is not [{ } header] || !header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
            return null;
        var bytes = new byte[header.Length];
        if (!Convert.TryFromBase64String(header["Basic ".Length..], bytes, out var written))
            return null;
        var text = Encoding.UTF8.GetString(bytes.AsSpan(0, written));
        return text.IndexOf(':', StringComparison.Ordinal) is var colon and > 0
            ? (Decode(text[..colon]), Decode(text[(colon + 1)..]))
            : null;

        static string Decode(string part) => Uri.UnescapeDataString(part.Replace('+', ' '));
    }
}
