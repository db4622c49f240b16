using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.Protocol.Tests.Jose;

/// <summary>
/// The published JOSE vectors, entered below the claims check (their payloads are no claims). A vector is accepted exactly when the
/// file says <c>valid</c> and we offer its algorithm. Not offered, so refused whatever the file says: HS256, HS384, HS512, RS384,
/// RS512, PS384, PS512, ES512, and every encryption (JWE).
/// </summary>
public class WycheproofTests
{
    private static readonly string[] Offered = ["ES256", "ES384", "RS256", "PS256"];
    private static readonly JwtRules Rules = new("vector", ["JWT"], TypeRequired: false, Offered);

    private sealed class VectorsTheoryAttribute() : SkipUnlessTheoryAttribute(Vectors.Has("jose"));

    [VectorsTheory, Trait("Attack", "85"), Trait("Attack", "79"), Trait("Spec", "RFC7515-5.2")]
    [InlineData("json_web_signature.json", 401, 16), InlineData("json_web_key.json", 26, 1), InlineData("json_web_crypto.json", 83, 2)]
    public void Vectors_EveryOne_HasTheResultItsFileSays(string file, int count, int acceptable)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Vectors.Folder, "jose", file)));
        int seen = 0, accepted = 0;
        var wrong = new List<string>();
        foreach (var group in document.RootElement.GetProperty("testGroups").EnumerateArray())
        {
            // Where a group has no public form, its key is symmetric (or for encryption): what a verifier must not take.
            var keys = Keys(group.TryGetProperty("public", out var key) ? key : group.GetProperty("private"));
            foreach (var test in group.GetProperty("tests").EnumerateArray())
            {
                seen++;
                var vector = test.TryGetProperty("jws", out var jws) ? jws : test.GetProperty("jwe");
                // Some are in the JSON serialization, which is not ours to read.
                var text = vector.ValueKind == JsonValueKind.String ? vector.GetString()! : vector.GetRawText();
                var result = CompactJws.Read(text, Rules).TryGet(out var read, out _) && keys.Any(k => k.Verify(read));
                accepted += result ? 1 : 0;
                if (result != (test.GetProperty("result").GetString() == "valid" && Offered.Contains(Algorithm(text))))
                    wrong.Add($"{test.GetProperty("tcId")} {test.GetProperty("comment")}: {(result ? "accepted" : "refused")}");
            }
        }
        Assert.Empty(wrong);
        Assert.Equal((count, acceptable), (seen, accepted));
    }

    private static IReadOnlyList<VerificationKey> Keys(JsonElement key)
    {
        if (key.TryGetProperty("keys", out _))
            return VerificationKey.FromJwks(key).TryGet(out var set, out _) ? set : [];
        return VerificationKey.FromJwk(key).TryGet(out var one, out _) ? [one] : [];
    }

    private static string? Algorithm(string compact) => Base64Url.TryDecode(compact.Split('.')[0], out var header)
        ? JsonElement.Parse(header).GetProperty("alg").GetString() : null;
}
