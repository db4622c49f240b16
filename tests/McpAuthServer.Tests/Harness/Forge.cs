using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Tests.Harness;

/// <summary>Client assertions that an honest client does not make.</summary>
internal static class Forge
{
    /// <summary>The claims of a right assertion of this agent's client.</summary>
    public static JsonObject Claims(Scenario scenario, TestAgent agent)
    {
        var now = scenario.Server.Time.GetUtcNow();
        return new JsonObject
        {
            ["iss"] = agent.ClientId, ["sub"] = agent.ClientId, ["aud"] = TestServer.Issuer, ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = now.AddMinutes(1).ToUnixTimeSeconds(), ["jti"] = Id.New("jti_", now),
        };
    }

    /// <summary>The header of a right assertion of this agent's client.</summary>
    public static JsonObject Header(TestAgent agent) => new() { ["typ"] = Names.Types.ClientAuthentication, ["alg"] = "ES256", ["kid"] = agent.ClientKey.KeyId };

    /// <summary>Any header and payload, signed with ES256 whatever the header says.</summary>
    public static string Es256(SigningKey key, string header, string payload) => Signed(header, payload, input => Es256(key, input));

    public static byte[] Es256(SigningKey key, byte[] input, DSASignatureFormat format = DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportPkcs8PrivateKey(key.ExportPkcs8(), out _);
        return ecdsa.SignData(input, HashAlgorithmName.SHA256, format);
    }

    public static string Signed(string header, string payload, Func<byte[], byte[]> sign)
    {
        var input = $"{Part(header)}.{Part(payload)}";
        return $"{input}.{Base64Url.Encode(sign(Encoding.ASCII.GetBytes(input)))}";
    }

    /// <summary>An assertion that is right but for what the two functions change; an honest signature over whatever they made.</summary>
    public static string Assertion(Scenario s, Action<JsonObject>? header = null, Action<JsonObject>? claims = null)
    {
        var (h, c) = (Header(s.Agent), Claims(s, s.Agent));
        header?.Invoke(h);
        claims?.Invoke(c);
        return Es256(s.Agent.ClientKey, h.ToJsonString(), c.ToJsonString());
    }

    public static string Part(string json) => Base64Url.Encode(Encoding.UTF8.GetBytes(json));
}
