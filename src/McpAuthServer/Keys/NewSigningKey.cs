using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>A key that was just made, ready to be stored: its private part is wrapped and nowhere else.</summary>
internal sealed record NewSigningKey(string Kid, string Alg, byte[] Wrapped, string PublicJwk)
{
    private static readonly Sql Insert = new(
        """
        insert into signing_keys (kid, alg, state, created_at, active_from, private_wrapped, public_jwk)
        values (@kid, @alg, @state, @created, @from, @wrapped, @jwk)
        """);

    public static NewSigningKey Make(string algorithm, KeyEncryption encryption)
    {
        using var key = SigningKey.Create(algorithm);
        return new NewSigningKey(key.KeyId, key.Algorithm, SigningKeyRow.Wrap(key, encryption), key.Public.Jwk.GetRawText());
    }

    public void Add(WriteTx tx, string state, long now, long from) => tx.Run(Insert.With(Kid, Alg, state, now, from, Wrapped, PublicJwk));
}
