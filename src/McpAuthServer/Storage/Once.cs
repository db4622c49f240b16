using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Storage;

/// <summary>Something that may be used once, on any node: an assertion's or a proof's <c>jti</c>.</summary>
/// <param name="Space">Keeps kinds apart, so that one kind's value never consumes another's.</param>
/// <param name="Key">A digest: bounded in length whatever was presented.</param>
/// <param name="ExpiresAt">Epoch milliseconds after which it would be refused for its age anyway.</param>
internal readonly record struct Once(string Space, string Key, long ExpiresAt)
{
    public const string AssertionSpace = "assertion", ProofSpace = "dpop", DecisionSpace = "decision", DelegationSpace = "delegation", IdJagSpace = "id_jag";

    private static readonly Sql Insert = new(
        "insert into used_once (space, key, expires_at) values (@space, @key, @expires) on conflict do nothing");

    /// <summary>A client assertion (RFC 7523 §3 item 7).</summary>
    public static Once Assertion(string client, string jti, DateTimeOffset expires) =>
        new(AssertionSpace, Base64Url.Sha256($"{client}\n{jti}"), (expires + Limits.ClockSkew).ToUnixTimeMilliseconds());

    /// <summary>What an identity provider says of a person (RFC 7521 §5.2, RFC 7523 §3 item 7).</summary>
    public static Once IdJag(string issuer, string jti, DateTimeOffset expires) =>
        new(IdJagSpace, Base64Url.Sha256($"{issuer}\n{jti}"), (expires + Limits.ClockSkew).ToUnixTimeMilliseconds());

    /// <summary>A DPoP proof (RFC 9449 §11.1).</summary>
    public static Once Proof(DpopProof proof) =>
        new(ProofSpace, Base64Url.Sha256($"{proof.Thumbprint}\n{proof.Jti}"), (proof.IssuedAt + Limits.DpopAge + Limits.ClockSkew).ToUnixTimeMilliseconds());

    /// <summary>A person's answer on a page that was shown once.</summary>
    public static Once Decision(string page, DateTimeOffset expires) => new(DecisionSpace, Base64Url.Sha256(page), (expires + Limits.ClockSkew).ToUnixTimeMilliseconds());

    /// <summary>What a person handed to an agent, as the beginning of a task.</summary>
    public static Once Delegation(string grant, DateTimeOffset until) => new(DelegationSpace, grant, (until + Limits.ClockSkew).ToUnixTimeMilliseconds());

    /// <summary>False when it was used before.</summary>
    public bool Consume(WriteTx tx) => tx.Run(Insert.With(Space, Key, ExpiresAt)) == 1;
}
