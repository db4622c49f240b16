using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuth.Bench;

/// <summary>
/// The floor under a token server: a bare endpoint that verifies as many signatures, signs one token of the same size and commits one unit to
/// the same log, and decides nothing.
/// </summary>
internal static class FloorServer
{
    public static async Task RunAsync(string address, string directory, JsonElement keys)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls(address);
        builder.Services.AddStore(o => o.Path = Path.Combine(directory, "floor.db"));
        await using var app = builder.Build();
        await app.Services.GetRequiredService<Migrator>().Apply(default);
        var log = app.Services.GetRequiredService<ICommitLog>();
        using var signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var (client, proof, subject) = (Verifier(keys.GetProperty("client")), Verifier(keys.GetProperty("instance")), Verifier(keys.GetProperty("server")));
        var payload = new byte[900];
        RandomNumberGenerator.Fill(payload);

        app.MapPost("/secret", async context =>
        {
            var form = await Body(context);
            SHA256.HashData(Encoding.UTF8.GetBytes(form["client_secret"]));
            await Answer(context, form, 0);
        });
        app.MapPost("/pkjwt", async context =>
        {
            var form = await Body(context);
            Verify(client, form["client_assertion"]);
            await Answer(context, form, 1);
        });
        app.MapPost("/exchange", async context =>
        {
            var form = await Body(context);
            Verify(client, form["client_assertion"]);
            Verify(proof, context.Request.Headers["DPoP"].ToString());
            Verify(subject, form["subject_token"]);
            await Answer(context, form, 2);
        });
        app.MapGet("/ready", () => "ready");
        await app.RunAsync();

        async Task Answer(HttpContext context, Dictionary<string, string> form, int once)
        {
            var token = $"{Convert.ToBase64String(payload)}.{Convert.ToBase64String(signing.SignData(payload, HashAlgorithmName.SHA256))}";
            await log.Commit(new OneUnit(form, once));
            await context.Response.WriteAsJsonAsync(new { access_token = token, token_type = "Bearer", expires_in = 300, scope = "tools:read" });
        }
    }

    private static ECDsa Verifier(JsonElement jwk)
    {
        Base64Url.TryDecode(jwk.GetProperty("x").GetString(), out var x);
        Base64Url.TryDecode(jwk.GetProperty("y").GetString(), out var y);
        return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = x, Y = y } });
    }

    private static void Verify(ECDsa key, string jwt)
    {
        var dot = jwt.LastIndexOf('.');
        if (!Base64Url.TryDecode(jwt.AsSpan(dot + 1), out var signature) || !key.VerifyData(Encoding.ASCII.GetBytes(jwt[..dot]), signature, HashAlgorithmName.SHA256))
            throw new InvalidOperationException("A signature is wrong.");
    }

    private static async Task<Dictionary<string, string>> Body(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var form = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in (await reader.ReadToEndAsync()).Split('&'))
            form[field[..field.IndexOf('=', StringComparison.Ordinal)]] = Uri.UnescapeDataString(field[(field.IndexOf('=', StringComparison.Ordinal) + 1)..]);
        return form;
    }

    private sealed class OneUnit(Dictionary<string, string> form, int once) : Unit<int>
    {
        private static readonly Sql Use = new("insert into used_once (space, key, expires_at) values (@space, @key, @expires) on conflict do nothing");

        private readonly string id = Id.New(Id.Event, TimeProvider.System.GetUtcNow());

        public override int Apply(WriteTx tx)
        {
            for (var i = 0; i < once; i++)
                tx.Run(Use.With("floor", id + i, 1L));
            tx.Append(new AuditEvent
            {
                Id = id, Time = 1, Type = AuditTypes.TokenIssued, Outcome = "success", Client = form.GetValueOrDefault("client_id"), Jti = id,
                Data = new JsonObject { ["scope"] = "tools:read" },
            });
            return 0;
        }
    }
}
