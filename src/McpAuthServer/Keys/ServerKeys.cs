using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Keys;

/// <summary>The signing keys at one version. Immutable; <see cref="SigningKeyRing"/> has the newest.</summary>
internal sealed class ServerKeys
{
    private readonly FrozenDictionary<string, VerificationKey> published;
    private readonly FrozenSet<string> revoked;

    private ServerKeys(long version, SigningKey active, DateTimeOffset activeFrom, NextKey? next, IReadOnlyList<RetiredKey> retired, IEnumerable<string> revoked)
    {
        (Version, Active, ActiveFrom, Next, Retired, this.revoked) = (version, active, activeFrom, next, retired, revoked.ToFrozenSet(StringComparer.Ordinal));
        VerificationKey[] all = [active.Public, .. next is null ? Array.Empty<VerificationKey>() : [next.Key.Public], .. retired.Select(k => k.Key)];
        published = all.ToFrozenDictionary(k => k.Thumbprint, StringComparer.Ordinal);
        KeySet = Write(all);
    }

    public long Version { get; }

    /// <summary>The one that signs.</summary>
    public SigningKey Active { get; }
    public DateTimeOffset ActiveFrom { get; }

    /// <summary>The one that will, if it exists yet.</summary>
    public NextKey? Next { get; }
    public IReadOnlyList<RetiredKey> Retired { get; }

    /// <summary>What <c>/jwks</c> shows (RFC 7517 §5): all that verify.</summary>
    public byte[] KeySet { get; }

    /// <summary>A key to verify with, also the next one: another node may sign with it already.</summary>
    public VerificationKey? Find(string kid) => published.GetValueOrDefault(kid);

    public bool IsRevoked(string kid) => revoked.Contains(kid);

    /// <exception cref="SigningKeyException">None signs, or one cannot be read.</exception>
    public static ServerKeys Of(long version, IReadOnlyList<SigningKeyRow> rows, KeyEncryption encryption, ServerKeys? before)
    {
        if (rows.SingleOrDefault(r => r.State == SigningKeyState.Active) is not { } active)
            throw new SigningKeyException("The signing keys are missing from the database although they were created once. Restore them from a backup: new keys would orphan every guard.");
        return new ServerKeys(
            version, Signing(active), At(active.ActiveFrom),
            rows.SingleOrDefault(r => r.State == SigningKeyState.Next) is { } next ? new NextKey(Signing(next), At(next.ActiveFrom)) : null,
            [.. rows.Where(r => r.State == SigningKeyState.Retired).Select(r => new RetiredKey(r.Verifying(encryption), At(r.EndedAt)))],
            rows.Where(r => r.State == SigningKeyState.Revoked).Select(r => r.Kid));

        // One that is no longer signed with is left to the collector: a request may be signing with it at this moment.
        SigningKey Signing(SigningKeyRow row) =>
            new[] { before?.Active, before?.Next?.Key }.FirstOrDefault(known => known?.KeyId == row.Kid) ?? row.Signing(encryption);

        static DateTimeOffset At(long ms) => DateTimeOffset.FromUnixTimeMilliseconds(ms);
    }

    private static byte[] Write(IEnumerable<VerificationKey> keys)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartArray("keys");
            foreach (var key in keys)
            {
                json.WriteStartObject();
                foreach (var member in key.Jwk.EnumerateObject().Where(m => m.Name is not ("kid" or "use" or "alg")))
                    member.WriteTo(json);
                json.WriteString("kid", key.Thumbprint);
                json.WriteString("use", "sig");
                json.WriteString("alg", key.Jwk.GetProperty("kty").GetString() == "RSA" ? "RS256" : "ES256");
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}

/// <param name="From">When it is to sign.</param>
internal sealed record NextKey(SigningKey Key, DateTimeOffset From);

/// <param name="Since">When it stopped signing.</param>
internal sealed record RetiredKey(VerificationKey Key, DateTimeOffset Since);
