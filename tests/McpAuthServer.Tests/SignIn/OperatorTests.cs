using System.Globalization;
using System.Net;
using McpAuth.Testing;
using McpAuthServer.People;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.Tests.SignIn;

/// <summary>What whoever runs the real program is shown.</summary>
public sealed class OperatorTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Start_WithoutAdministrator_ShowsALinkOnTheConsoleOnceAndNeverLogsIt()
    {
        var issuer = "http://127.0.0.1:" + FreePort.Next().ToString(CultureInfo.InvariantCulture) + "/tenant";
        await using (var process = Start("--McpAuth:Issuer=" + issuer, "--Logging:LogLevel:Default=Trace", "--Logging:LogLevel:Microsoft.AspNetCore=Trace"))
        {
            var line = await process.WaitForLineAsync(l => l.Contains("There is no administrator yet", StringComparison.Ordinal), Patience);
            var address = line[line.IndexOf("http", StringComparison.Ordinal)..];
            Assert.StartsWith(issuer + "/account/setup?t=", address, StringComparison.Ordinal);
            await process.WaitForHealthAsync(Ready(issuer), Patience);
            using var http = new HttpClient();

            using var page = await http.GetAsync(address);

            var html = await page.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.OK, page.StatusCode);
            Assert.Contains("action=\"/tenant/account/setup\"", html, StringComparison.Ordinal);
            Assert.Contains("href=\"/tenant/assets/", html, StringComparison.Ordinal);
            Assert.True(await process.StopAsync(Patience), process.Text);
            Assert.Single(process.Output, l => l.Contains(address.Split("?t=")[1], StringComparison.Ordinal));
        }

        // With an administrator, none; for a user there is one on demand, and for nobody else.
        var file = directory.Write("registry.json", """{"users": [{"id": "usr_ann", "name": "Ann", "email": "ann@people.test", "administrator": true}]}""");
        await using (var process = Start("--McpAuth:Issuer=" + issuer, "--apply", file))
        {
            await process.WaitForHealthAsync(Ready(issuer), Patience);
            Assert.True(await process.StopAsync(Patience), process.Text);
            Assert.DoesNotContain("/account/setup", process.Text, StringComparison.Ordinal);
        }
        await using (var process = Start("--McpAuth:Issuer=" + issuer, "--setup-link", "usr_ann"))
        {
            Assert.Equal(0, await process.WaitForExitAsync(Patience));
            Assert.StartsWith(issuer + "/account/setup?t=", Assert.Single(process.Output, l => l.StartsWith("http", StringComparison.Ordinal)), StringComparison.Ordinal);
        }
        await using (var process = Start("--McpAuth:Issuer=" + issuer, "--setup-link", "usr_nobody"))
        {
            Assert.Equal(1, await process.WaitForExitAsync(Patience));
            Assert.DoesNotContain("/account/setup", process.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task HashPassword_OfStandardInput_IsWhatRegistryFilesTake()
    {
        await using var process = Hash("a password for a file");
        Assert.Equal(0, await process.WaitForExitAsync(Patience));
        var hash = Assert.Single(process.Output);

        Assert.True(Passwords.IsHash(hash));
        Assert.Equal(PasswordVerificationResult.Success, new PasswordHasher<Account>(Microsoft.Extensions.Options.Options.Create(new PasswordHasherOptions { IterationCount = Passwords.Iterations }))
            .VerifyHashedPassword(new Account(), hash, "a password for a file"));

        await using var refused = Hash("too short");
        Assert.Equal(2, await refused.WaitForExitAsync(Patience));
        Assert.DoesNotContain("too short", refused.Text, StringComparison.Ordinal);
    }

    private static Uri Ready(string issuer) => new(new Uri(issuer), "/health/ready");

    private ChildProcess Hash(string password) =>
        ChildProcess.StartDll(Path.Combine(AppContext.BaseDirectory, "McpAuthServer.dll"), ["--hash-password"], directory: directory.Path, input: password + "\n");

    private ChildProcess Start(params string[] arguments) => ChildProcess.StartDll(
        Path.Combine(AppContext.BaseDirectory, "McpAuthServer.dll"), ["--McpAuth:DataDirectory=" + directory["data"], .. arguments], directory: directory.Path);
}
