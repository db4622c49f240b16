namespace McpAuth.Protocol.Jose;

/// <summary>The signature algorithms in use (RFC 7518 §3.1). Symmetric ones and <c>none</c> have no name here.</summary>
internal static class JoseAlgorithms
{
    public const string Es256 = "ES256", Es384 = "ES384", Rs256 = "RS256", Ps256 = "PS256";
}
