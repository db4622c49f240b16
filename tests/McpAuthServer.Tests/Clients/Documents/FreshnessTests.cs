using System.Globalization;
using McpAuthServer.Clients.Documents;

namespace McpAuthServer.Tests.Clients.Documents;

[Trait("Spec", "RFC9111-4.2")]
public sealed class FreshnessTests
{
    [Theory]
    [InlineData(300)]
    [InlineData(300, "Cache-Control: no-store")]
    [InlineData(300, "Cache-Control: no-cache, max-age=3600")]
    [InlineData(300, "Cache-Control: max-age=1")]
    [InlineData(3600, "Cache-Control: public, max-age=3600")]
    [InlineData(3000, "Cache-Control: max-age=3600", "Age: 600")]
    [InlineData(300, "Cache-Control: max-age=3600", "Age: 7200")]
    [InlineData(86400, "Cache-Control: max-age=31536000")]
    [InlineData(300, "Cache-Control: max-age=99999999999999")]
    [InlineData(7200, "Date: Sun, 22 Nov 2026 10:00:00 GMT", "Expires: Sun, 22 Nov 2026 12:00:00 GMT")]
    [InlineData(300, "Date: Sun, 22 Nov 2026 10:00:00 GMT", "Expires: Sun, 22 Nov 2026 09:00:00 GMT")]
    [InlineData(300, "Date: Sun, 22 Nov 2026 10:00:00 GMT", "Expires: 0")]
    [InlineData(300, "Expires: Sun, 22 Nov 2036 12:00:00 GMT")]
    [InlineData(600, "Cache-Control: max-age=600", "Date: Sun, 22 Nov 2026 10:00:00 GMT", "Expires: Sun, 22 Nov 2026 12:00:00 GMT")]
    public void Freshness_IsWhatTheHeadersSay_WithinFiveMinutesAndADay(int seconds, params string[] headers)
    {
        using var response = new HttpResponseMessage { Content = new ByteArrayContent([]) };
        foreach (var header in headers)
        {
            var (name, value) = (header[..header.IndexOf(':', StringComparison.Ordinal)], header[(header.IndexOf(':', StringComparison.Ordinal) + 2)..]);
            if (!response.Headers.TryAddWithoutValidation(name, value))
                response.Content.Headers.TryAddWithoutValidation(name, value);
        }

        Assert.Equal(seconds.ToString(CultureInfo.InvariantCulture), Freshness.Of(response).TotalSeconds.ToString(CultureInfo.InvariantCulture));
    }
}
