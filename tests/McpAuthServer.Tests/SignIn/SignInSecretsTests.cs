using System.Text;
using McpAuth.Protocol;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

/// <summary>Nothing that lets somebody in stands in a log line, with every logger at its most talkative, or in the database.</summary>
public sealed class SignInSecretsTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "162")]
    public async Task PasswordsCookiesFormsAndLinks_AfterEveryFlow_AreNowhere()
    {
        var s = await server.ScenarioAsync();
        var secrets = new List<string> { s.Person.Password, "a-password-typed-wrong-0123", "the-new-password-0123456", "the-newest-password-0123" };
        var browser = new TestBrowser(server);
        await browser.TrySignInAsync(s.Person.Email, secrets[1]);
        await browser.TrySignInAsync(secrets[1], "a-name-for-a-password");
        await browser.SignInAsync(s.Person);
        var page = await browser.GetAsync(Names.Paths.Password);
        await browser.PostFormAsync(page, new() { ["current_password"] = s.Person.Password, ["new_password"] = secrets[2] });
        string link;
        await using (var scope = server.Services.CreateAsyncScope())
            link = (await scope.ServiceProvider.GetRequiredService<SetupLinks>().MakeAsync(s.Person.Id))!;
        secrets.AddRange([link, page.Form()["csrf"]!, .. browser.Cookies.Values]);
        var setup = await browser.GetAsync($"{Names.Paths.Setup}?t={link}");
        await browser.PostFormAsync(setup, new() { ["password"] = secrets[3] });
        await browser.GetAsync($"{Names.Paths.Setup}?t={link}");
        browser.Cookies[Browser.Cookie] = browser.Cookies.GetValueOrDefault(Browser.Cookie, "") + "x";
        await browser.GetAsync(Names.Paths.Password);
        await browser.PostAsync(Names.Paths.SignIn, [new("csrf", secrets[5] + "x"), new("password", secrets[3])]);
        await browser.SignInAsync(s.Person with { Password = secrets[3] });

        var rows = new StringBuilder();
        foreach (var table in new[] { "users", "accounts", "sessions", "setup_links", "data_protection_keys", "audit_events" })
            foreach (var row in await server.Services.GetRequiredService<IReadStore>().All(
                         new Sql($"select * from {table}").With(), r => string.Join('\n', Enumerable.Range(0, r.FieldCount).Select(i => r.GetValue(i) is byte[] b ? Encoding.Latin1.GetString(b) : r.GetValue(i))), default))
                rows.AppendLine(row);
        var (database, log) = (rows.ToString(), string.Join('\n', server.Logs.Lines));

        Assert.Contains(s.Person.Email, database, StringComparison.Ordinal);
        Assert.Contains(Names.Paths.Setup, log, StringComparison.Ordinal);
        Assert.Equal(4 + 2 + 2, secrets.Count);
        foreach (var secret in secrets)
        {
            Assert.True(secret.Length >= 20);
            Assert.DoesNotContain(secret, database, StringComparison.Ordinal);
            Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        }
    }
}
