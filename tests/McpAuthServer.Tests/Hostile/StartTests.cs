using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Tests.Harness;
using Microsoft.Data.Sqlite;

namespace McpAuthServer.Tests.Hostile;

/// <summary>The real program, started on what it must not start on.</summary>
public sealed class StartTests(TestServer server) : IClassFixture<TestServer>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TempDirectory directory = new();
    private readonly string key = Convert.ToBase64String(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray());

    private string Database => directory["data/mcpauth.db"];

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Attack", "178")]
    public async Task SigningKey_MissingCorruptOrUnderAnotherKey_RefusesToStart()
    {
        await AppliedAsync(await FileAsync());
        var (kid, wrapped) = Stored();
        using var encryption = new KeyEncryption(Convert.FromBase64String(key));
        using var other = SigningKey.Create();

        await RefusedAsync("cannot be unwrapped", "--McpAuth:KeyEncryptionKey=" + Convert.ToBase64String(new byte[32]));
        foreach (var (damage, says) in new (string, string)[]
        {
            ($"update signing_keys set private_wrapped = x'{Convert.ToHexString(wrapped[..^1])}'", "cannot be unwrapped"),
            ($"update signing_keys set private_wrapped = x'{Convert.ToHexString([.. wrapped[..^1], (byte)(wrapped[^1] ^ 1)])}'", "cannot be unwrapped"),
            ("update signing_keys set private_wrapped = x''", "cannot be unwrapped"),
            ($"update signing_keys set private_wrapped = x'{Convert.ToHexString(encryption.Wrap(other.ExportPkcs8(), "signing-key"))}'", "holds another key's private part"),
            ("delete from signing_keys", "missing"),
        })
        {
            Run(damage);
            await RefusedAsync(says);
            // It made no new key in its place.
            Assert.Equal(damage.StartsWith("delete", StringComparison.Ordinal) ? 0 : 1, Number("select count(*) from signing_keys"));
            Run("delete from signing_keys");
            Run($"insert into signing_keys (kid, alg, state, created_at, private_wrapped, public_jwk) values ('{kid}', 'ES256', 'active', 1, x'{Convert.ToHexString(wrapped)}', '{{}}')");
        }

        Run("update settings set value = x'00' where name = 'dpop_nonce_key'");
        await RefusedAsync("DPoP nonces cannot be unwrapped");
        Run("delete from settings where name = 'dpop_nonce_key'");

        // And with the key put back it starts.
        await AppliedAsync(await FileAsync());
    }

    [Theory]
    [InlineData("neither", "--McpAuth:Issuer=http://auth.example")]
    [InlineData("mandatory", "--McpAuth:Issuer=https://auth.example", "--McpAuth:KeyEncryptionKey=")]
    [InlineData("32 bytes in base64", "--McpAuth:KeyEncryptionKey=c2hvcnQ=")]
    [InlineData("does not read", "--McpAuth:Isuer=https://auth.example")]
    [InlineData("does not read", "--McpAuth:CommitQueue=many")]
    [InlineData("AccessTokenLifetime", "--McpAuth:AccessTokenLifetime=01:00:00")]
    public async Task Configuration_Wrong_RefusesToStart(string says, params string[] arguments)
    {
        await RefusedAsync(says, arguments);

        Assert.False(File.Exists(Database));
    }

    [Theory]
    [InlineData("--aply=registry.json")]
    [InlineData("--verbose")]
    [InlineData("serve")]
    [InlineData("--apply-only")]
    public async Task Argument_Unknown_IsRefused(string argument)
    {
        await using var process = Start(argument);

        Assert.Equal(2, await process.WaitForExitAsync(Patience));
        Assert.Contains(argument, process.Text, StringComparison.Ordinal);
        Assert.False(File.Exists(Database));
    }

    [Fact]
    public async Task ApplyFile_WithOneFault_LeavesNothingApplied()
    {
        var right = await File.ReadAllTextAsync(await FileAsync());
        var wrong = directory.Write("wrong.json", right.Replace("\"sensitivity\":\"destructive\"", "\"sensitivity\":\"harmless\"", StringComparison.Ordinal));

        await RefusedAsync("nothing of it applied", "--apply", wrong);

        foreach (var table in new[] { "users", "agents", "clients", "tool_servers", "tools", "enrolment_secrets" })
            Assert.Equal(0, Number($"select count(*) from {table}"));
        Assert.Equal(1, Number("select count(*) from audit_events where type like 'admin.%' and body like '%refused%'"));
        Assert.Equal(0, Number("select count(*) from audit_events where type like 'admin.%' and body not like '%refused%'"));
        await RefusedAsync("cannot be read", "--apply", directory["absent.json"]);
    }

    [Fact]
    [Trait("Attack", "162")]
    public async Task Server_LoggingAllItCan_ServesAndShowsNoSecret()
    {
        var s = await server.ScenarioAsync();
        var port = FreePort.Next();
        var issuer = $"http://127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}";
        await using var process = Start(
            "--McpAuth:Issuer=" + issuer, "--apply", directory.Write("registry.json", s.File.ToJsonString()),
            "--Logging:LogLevel:Default=Trace", "--Logging:LogLevel:Microsoft.AspNetCore=Trace", "--Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics=Trace");
        await process.WaitForHealthAsync(new Uri(issuer + "/health/ready"), Patience);
        using var http = new HttpClient();

        using var request = new HttpRequestMessage(HttpMethod.Post, issuer + "/token")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "client_credentials", ["resource"] = s.Resource }),
        };
        var credential = Convert.ToBase64String(Encoding.ASCII.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", credential);
        using var answer = await http.SendAsync(request);
        var token = System.Text.Json.JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("access_token").GetString()!;
        using var query = await http.GetAsync($"{issuer}/token?client_secret={s.ServiceSecret}");
        Assert.True(await process.StopAsync(Patience), process.Text);

        Assert.True(process.Output.Count > 50, process.Text);
        foreach (var secret in new[] { s.ServiceSecret, s.EnrolmentSecret, credential, token.Split('.')[1], token.Split('.')[2], key })
            Assert.DoesNotContain(secret, process.Text, StringComparison.Ordinal);
    }

    private async Task<string> FileAsync() => directory.Write("registry.json", (await server.ScenarioAsync()).File.ToJsonString());

    private ChildProcess Start(params string[] arguments)
    {
        var all = new Dictionary<string, string>
        {
            ["--McpAuth:Issuer"] = "http://127.0.0.1:" + FreePort.Next().ToString(CultureInfo.InvariantCulture),
            ["--McpAuth:DataDirectory"] = directory["data"], ["--McpAuth:KeyEncryptionKey"] = key,
        };
        var more = new List<string>();
        foreach (var argument in arguments)
            if (argument.Split('=', 2) is [var name, var value] && all.ContainsKey(name))
                all[name] = value;
            else
                more.Add(argument);
        // Given empty = not given.
        return ChildProcess.StartDll(
            Path.Combine(AppContext.BaseDirectory, "McpAuthServer.dll"), [.. all.Where(a => a.Value.Length > 0).Select(a => $"{a.Key}={a.Value}"), .. more],
            directory: directory.Path);
    }

    private async Task AppliedAsync(string file)
    {
        await using var process = Start("--apply", file, "--apply-only");
        Assert.True(await process.WaitForExitAsync(Patience) == 0, process.Text);
    }

    private async Task RefusedAsync(string says, params string[] arguments)
    {
        await using var process = Start(arguments);
        Assert.True(await process.WaitForExitAsync(Patience) == 1, process.Text);
        Assert.Contains("McpAuth refuses to start", process.Text, StringComparison.Ordinal);
        Assert.Contains(says, process.Text, StringComparison.Ordinal);
        // The message is the whole explanation.
        Assert.DoesNotContain("   at ", process.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(key, process.Text, StringComparison.Ordinal);
    }

    private (string Kid, byte[] Wrapped) Stored()
    {
        using var connection = Open();
        using var command = new SqliteCommand("select kid, private_wrapped from signing_keys", connection);
        using var reader = command.ExecuteReader();
        Assert.True(reader.Read());
        return (reader.GetString(0), (byte[])reader[1]);
    }

    private void Run(string sql)
    {
        using var connection = Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private long Number(string sql)
    {
        using var connection = Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (long)command.ExecuteScalar()!;
    }

    private SqliteConnection Open()
    {
        var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        return connection;
    }
}
