# Compares names as Net::HTTP does: a certificate in base 64 and a host on each line of the input.
require 'openssl'
require 'ipaddr'

STDIN.each_line do |line|
  der, host = line.chomp.split(' ', 2)
  cert = OpenSSL::X509::Certificate.new(der.unpack1('m'))
  puts OpenSSL::SSL.verify_certificate_identity(cert, host) ? 'yes' : 'no'
end
